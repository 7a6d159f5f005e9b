// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/declared.hpp>

/// Forward declarations of the library's types, for use in other headers:
///
///     using app_schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
///     using app_tracer = mt::tracer<app_schema, mt::thread_local_context, mt::to_mlflow<mt::beast_transport>>;
///     void answer(app_tracer& traces, const mt::user& user);
///
/// A template with a text as argument, such as `mt::key<"app.name">`, needs its own header. A key that is a type of
/// its own can be declared, `struct segment;`, and defined where that header is included.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

// spans
class attachment;
class message;
class content_part;
class tool_definition;
struct tool_call;
struct completion;
struct document;

// client
template <class Transport>
class client;
class filter;
struct trace_query;
struct trace_info;
struct stored_trace;
struct stored_span;
struct experiment;
struct feedback;
struct expectation;
struct user_summary;
struct session_summary;
struct session_turn;

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
