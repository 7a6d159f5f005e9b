// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <string_view>

// MLflow's names of attributes, metadata and tags (mlflow/tracing/constant.py of MLflow 3.17), and the OpenTelemetry
// names that its server reads.
namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail::mlflow_names {

// Metadata of a trace.
inline constexpr std::string_view trace_user = "mlflow.trace.user";
inline constexpr std::string_view trace_session = "mlflow.trace.session";
inline constexpr std::string_view trace_token_usage = "mlflow.trace.tokenUsage";
inline constexpr std::string_view trace_cost = "mlflow.trace.cost";

// Tags of a trace.
inline constexpr std::string_view trace_name = "mlflow.traceName";
inline constexpr std::string_view artifact_location = "mlflow.artifactLocation";

// Attributes of a root span that describe its trace.
inline constexpr std::string_view user_id = "user.id";
inline constexpr std::string_view session_id = "session.id";
inline constexpr std::string_view conversation_id = "gen_ai.conversation.id";
inline constexpr std::string_view client_request_id = "mlflow.clientRequestId";
inline constexpr std::string_view request_preview = "mlflow.traceRequestPreview";
inline constexpr std::string_view response_preview = "mlflow.traceResponsePreview";
inline constexpr std::string_view any_metadata = "mlflow.traceMetadata."; // followed by the key
inline constexpr std::string_view any_tag = "mlflow.traceTag.";           // followed by the key
inline constexpr std::string_view tag_of_trace_name = "mlflow.traceTag.mlflow.traceName";

// Attributes of any span.
inline constexpr std::string_view span_inputs = "mlflow.spanInputs";
inline constexpr std::string_view span_outputs = "mlflow.spanOutputs";
inline constexpr std::string_view span_type = "mlflow.spanType";
inline constexpr std::string_view span_function_name = "mlflow.spanFunctionName";
inline constexpr std::string_view span_log_level = "mlflow.spanLogLevel";
inline constexpr std::string_view model = "mlflow.llm.model";
inline constexpr std::string_view provider = "mlflow.llm.provider";
inline constexpr std::string_view cost = "mlflow.llm.cost";
inline constexpr std::string_view token_usage = "mlflow.chat.tokenUsage";
inline constexpr std::string_view tools = "mlflow.chat.tools";

} // namespace detail::mlflow_names
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
