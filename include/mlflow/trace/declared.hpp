// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <cstdint>

// Forward declarations, with the library's default template arguments, which are written only here. fwd.hpp also
// declares types that only some programs use: a common name such as `document` would hide an application's type of
// that name where the application specialises a template of this namespace.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

// core
enum class error_kind : std::uint8_t;
class error;
struct failure;
template <class T>
class result;
template <std::size_t Size>
struct id_text;
struct trace_id;
struct span_id;
struct remote_span;
class span_type;
enum class status : std::uint8_t;
enum class log_level : std::uint8_t;
struct token_usage;
struct llm_cost;
class sample_ratio;
class trace_start;
class redaction;
struct recording_limits;
struct span_data;
struct trace_entry;
class trace_entries;
struct trace_data;
class trace_batch;
struct export_result;
struct export_progress;
struct span_account;

// values
template <class T>
struct json_encoder;
template <class Buffer>
class json_object;

// metadata
struct user;
struct session;
struct client_request_id;
struct tag;
template <class Key>
struct absent;
template <class Key>
class maybe;
template <class Key>
struct required;
template <class Key>
struct optional;
template <class Key>
struct late;
template <class Entry>
struct propagated;
template <class... Entries>
struct schema;
struct open_schema;

// platform, context
struct hosted_platform;
template <class Board>
struct bare_metal_platform;
struct context_slot;
class thread_local_context;
class explicit_context;
class global_context;
class coroutine_context;
class task_context;
template <class Context = thread_local_context>
class captured_context;
template <class Context>
class attached_context;

// recording
struct record_all;
struct record_nothing;
class record_ratio;
template <class Key = void>
class record_session_ratio;
template <class Root = record_all>
class parent_based;
struct redact_nothing;
template <class Sampler = record_all, class Redactor = redact_nothing>
class recording_policy;

// web
class incoming_trace;
struct trust_nobody;
struct trust_network;
template <class Schema, class Trust = trust_nobody>
class propagator;
template <class... Headers>
class http_headers;
template <class Platform>
class sessions;

// http, transports
class secret;
class credentials;
struct endpoint;
struct http_request;
struct http_response;
class beast_transport;
template <class Transport>
class gzip_transport;
class memory_server;
class memory_transport;

// exporters
class json_lines_exporter;
class memory_exporter;
template <class Transport>
class mlflow_exporter;
template <class Transport>
class otlp_exporter;
template <class Transport, class... Keys>
class otlp_metrics;

// pipeline, spool
template <class Exporter, std::size_t Senders = 1>
class batch;
template <class Exporter>
class retry;
template <class... Exporters>
class fan_out;
template <class Exporter>
class deployed;
template <class Exporter>
class exporter_adaptor;
struct deployment_info;
struct diagnostics;
struct batch_status;
struct rejected_trace;
struct recorded_trace;
struct posix_files;
template <class Exporter, class Files = posix_files>
class spool;
struct spool_status;

/// Delivers to MLflow from a thread of its own, with many traces in one request, and retries while the server is
/// unreachable. Needs `<mlflow/trace/to_mlflow.hpp>`.
template <class Transport>
using to_mlflow = batch<retry<mlflow_exporter<Transport>>>;

/// As `to_mlflow`, but stores each trace on disk as soon as it has ended, so that the trace survives a crash of the
/// process. Needs `<mlflow/trace/spool/spool.hpp>` as well.
template <class Transport>
using to_mlflow_spooled = spool<mlflow_exporter<Transport>, posix_files>;

// spans
template <class Exporter, class Recording>
struct tracer_options;
/// Starts traces and spans, and passes each trace that has ended to its exporter. `mt::tracer<>` records everything
/// and appends it to the file `traces.jsonl`.
template <class Schema = open_schema, class Context = thread_local_context, class Exporter = json_lines_exporter,
          class Recording = record_all, class Platform = hosted_platform>
class tracer;
template <class Schema, class Context, class Platform>
class basic_trace;
template <class Context, class Platform>
class basic_span;
template <class Context>
class basic_scope;
template <class Context>
class unrecorded_span;
template <class Schema, class Context>
class unrecorded_trace;

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
