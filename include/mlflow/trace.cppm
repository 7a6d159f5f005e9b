// SPDX-License-Identifier: Apache-2.0
// <mlflow/trace.hpp> as a module. Macros are not part of it: MLFLOW_TRACE_VERSION needs <mlflow/trace/config.hpp>.
module;

#include <mlflow/trace.hpp>

export module mlflow.trace;

export namespace mlflow::trace {

// core
using mlflow::trace::default_log_level;
using mlflow::trace::entry_kind;
using mlflow::trace::error;
using mlflow::trace::error_kind;
using mlflow::trace::export_progress;
using mlflow::trace::export_result;
using mlflow::trace::failure;
using mlflow::trace::id_text;
using mlflow::trace::is_continued;
using mlflow::trace::llm_cost;
using mlflow::trace::log_level;
using mlflow::trace::new_uuid_v7;
using mlflow::trace::owned_text;
using mlflow::trace::recording_limits;
using mlflow::trace::redaction;
using mlflow::trace::remote_span;
using mlflow::trace::result;
using mlflow::trace::sample_ratio;
using mlflow::trace::span_account;
using mlflow::trace::span_data;
using mlflow::trace::span_id;
using mlflow::trace::span_type;
using mlflow::trace::status;
using mlflow::trace::token_usage;
using mlflow::trace::trace_batch;
using mlflow::trace::trace_data;
using mlflow::trace::trace_entries;
using mlflow::trace::trace_entry;
using mlflow::trace::trace_id;
using mlflow::trace::trace_start;
using mlflow::trace::uuid_v7;

// values
using mlflow::trace::append_json;
using mlflow::trace::json_object;

// wire
using mlflow::trace::append_otlp_request;
using mlflow::trace::decode;
using mlflow::trace::otlp_form;
using mlflow::trace::otlp_receiver;
using mlflow::trace::recorded_event;
using mlflow::trace::recorded_link;
using mlflow::trace::recorded_span;
using mlflow::trace::recorded_trace;
using mlflow::trace::recorded_values;
using mlflow::trace::resource_attributes;

// http
using mlflow::trace::basic_authorization;
using mlflow::trace::bearer_authorization;
using mlflow::trace::check_request;
using mlflow::trace::credentials;
using mlflow::trace::endpoint;
using mlflow::trace::http_header;
using mlflow::trace::http_method;
using mlflow::trace::http_request;
using mlflow::trace::http_response;
using mlflow::trace::outcome;
using mlflow::trace::outcome_of;
using mlflow::trace::secret;
using mlflow::trace::to_string;

// concepts
using mlflow::trace::composes;
using mlflow::trace::context;
using mlflow::trace::deferring_exporter;
using mlflow::trace::exporter;
using mlflow::trace::interruptible_exporter;
using mlflow::trace::linking_exporter;
using mlflow::trace::platform;
using mlflow::trace::progressing_exporter;
using mlflow::trace::recording;
using mlflow::trace::redactor;
using mlflow::trace::reporting_exporter;
using mlflow::trace::retrying_exporter;
using mlflow::trace::thread_safe_exporter;
using mlflow::trace::transport;

// metadata
using mlflow::trace::absent;
using mlflow::trace::anonymous;
using mlflow::trace::ascii_word;
using mlflow::trace::client_request_id;
using mlflow::trace::fixed_string;
using mlflow::trace::json_encoder;
using mlflow::trace::key;
using mlflow::trace::key_of;
using mlflow::trace::late;
using mlflow::trace::max_length;
using mlflow::trace::maybe;
using mlflow::trace::metadata_key;
using mlflow::trace::no_session;
using mlflow::trace::one_of;
using mlflow::trace::open_schema;
using mlflow::trace::optional;
using mlflow::trace::predicate;
using mlflow::trace::prefix;
using mlflow::trace::propagated;
using mlflow::trace::pseudonym;
using mlflow::trace::required;
using mlflow::trace::schema;
using mlflow::trace::session;
using mlflow::trace::tag;
using mlflow::trace::user;
using mlflow::trace::uuid;

// platform
using mlflow::trace::hosted_platform;

// context
using mlflow::trace::context_slot;
using mlflow::trace::coroutine_context;
using mlflow::trace::coroutine_promise;
using mlflow::trace::coroutine_turn;
using mlflow::trace::explicit_context;
using mlflow::trace::task_context;
using mlflow::trace::thread_local_context;

// web
using mlflow::trace::generate_absent;
using mlflow::trace::header;
using mlflow::trace::http_headers;
using mlflow::trace::incoming_trace;
using mlflow::trace::leave_absent;
using mlflow::trace::refuse_absent;

// recording
using mlflow::trace::parent_based;
using mlflow::trace::record_all;
using mlflow::trace::record_nothing;
using mlflow::trace::record_ratio;
using mlflow::trace::record_session_ratio;
using mlflow::trace::recording_policy;
using mlflow::trace::redact_content;
using mlflow::trace::redact_keys;
using mlflow::trace::redact_nothing;

// spans
using mlflow::trace::arg;
using mlflow::trace::attached_context;
using mlflow::trace::basic_scope;
using mlflow::trace::basic_span;
using mlflow::trace::basic_trace;
using mlflow::trace::bind;
using mlflow::trace::capture;
using mlflow::trace::captured_context;
using mlflow::trace::current_trace_id;
using mlflow::trace::error_handler;
using mlflow::trace::named_value;
using mlflow::trace::nested;
using mlflow::trace::nested_trace;
using mlflow::trace::span_interface;
using mlflow::trace::traced;
using mlflow::trace::traced_function;
using mlflow::trace::tracer;
using mlflow::trace::tracer_options;
using mlflow::trace::unrecorded_scope;
using mlflow::trace::unrecorded_span;
using mlflow::trace::unrecorded_trace;
using mlflow::trace::update_current_trace;

// pipeline
using mlflow::trace::batch;
using mlflow::trace::batch_options;
using mlflow::trace::batch_status;
using mlflow::trace::deployed;
using mlflow::trace::deployment_info;
using mlflow::trace::diagnostics;
using mlflow::trace::exporter_adaptor;
using mlflow::trace::rejected_trace;
using mlflow::trace::retry;
using mlflow::trace::to_mlflow;
using mlflow::trace::when_full;

// exporters
using mlflow::trace::json_lines_exporter;
using mlflow::trace::memory_exporter;
using mlflow::trace::mlflow_connection;
using mlflow::trace::mlflow_exporter;

} // namespace mlflow::trace
