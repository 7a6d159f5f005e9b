// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/exporters/gen_ai.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

// The contribution of a span to the metrics of OpenTelemetry's conventions for generative AI
// (https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-metrics.md).
namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

struct metric_description {
    std::string_view name;
    std::string_view unit;
    std::string_view description;
    const double* boundaries; // as recommended by the conventions
    std::size_t boundary_count;
};

enum metric_number : std::uint8_t {
    operation_duration,
    time_to_first_chunk,
    used_tokens,
    agent_duration,
    tool_duration,
    workflow_duration,
    metric_count
};

inline constexpr std::size_t most_boundaries = 14;
inline constexpr double operation_boundaries[most_boundaries] = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                                                 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
inline constexpr double token_boundaries[most_boundaries] = {
    1, 4, 16, 64, 256, 1'024, 4'096, 16'384, 65'536, 262'144, 1'048'576, 4'194'304, 16'777'216, 67'108'864};
inline constexpr double agent_boundaries[] = {0.1,  0.2,  0.4,  0.8,   1.6,   3.2,  6.4,
                                              12.8, 25.6, 51.2, 102.4, 204.8, 409.6};
inline constexpr double workflow_boundaries[] = {1, 5, 10, 30, 60, 120, 300, 600, 1'800, 3'600, 7'200};

inline constexpr metric_description metrics[metric_count] = {
    {"gen_ai.client.operation.duration", "s", "GenAI operation duration.", operation_boundaries, 14},
    {"gen_ai.client.operation.time_to_first_chunk", "s",
     "Time to receive the first chunk, measured from when the client issues the generation request to when the first "
     "chunk is received in the response stream.",
     operation_boundaries, 14},
    {"gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.", token_boundaries, 14},
    {"gen_ai.invoke_agent.duration", "s",
     "The end-to-end duration of a single agent invocation, from the moment the invocation starts until the agent "
     "emits the last chunk of its final response or terminates with an error.",
     agent_boundaries, 13},
    {"gen_ai.execute_tool.duration", "s", "The duration of a single tool execution.", operation_boundaries, 14},
    {"gen_ai.workflow.duration", "s", "GenAI workflow duration.", workflow_boundaries, 11},
};

// The values of a span that the metrics use. The texts are views of the span's body.
struct measured_span {
    std::optional<metric_number> timed; // the metric for its duration
    std::string_view name;              // of the agent, tool or workflow
    std::string_view operation;
    std::string_view model;
    std::string_view provider;
    std::string_view error; // empty unless the span failed
    double seconds = 0;
    std::optional<double> first_chunk; // seconds until the first chunk
    std::optional<std::uint64_t> input_tokens;
    std::optional<std::uint64_t> output_tokens;

    [[nodiscard]] bool is_client() const noexcept { return timed == operation_duration; }

    static measured_span of(const trace_data& trace, const span_data& span) {
        const std::string_view body = span.body.view();
        const auto said = mlflow_terms::of(body);
        measured_span one;
        one.name = said.name;
        one.operation = said.operation();
        one.model = said.model;
        one.provider = said.provider;
        one.input_tokens = count_of(said.usage, "input_tokens");
        one.output_tokens = count_of(said.usage, "output_tokens");
        if (span.code == status::error) one.error = "_OTHER";

        std::uint64_t start = 0, end = 0, chunk = 0;
        std::string_view error_type;
        for (protobuf_reader at(body); at.next();) {
            if (at.field() == otlp::start_time) start = at.number();
            else if (at.field() == otlp::end_time) end = at.number();
            else if (at.field() == otlp::events) one.read_event(at.bytes(), chunk);
            else if (at.field() == otlp::attributes) one.read_own_terms(at.bytes(), error_type);
        }
        if (span.code == status::error && !error_type.empty()) one.error = error_type;
        one.seconds = seconds_between(start, end);
        if (chunk != 0) one.first_chunk = seconds_between(start, chunk);
        const bool is_whole_trace = &span == trace.root && !span.has_parent;
        if (one.operation == "invoke_agent") one.timed = agent_duration;
        else if (one.operation == "execute_tool") one.timed = tool_duration;
        else if (one.operation == "invoke_workflow") one.timed = workflow_duration;
        else if (!one.operation.empty()) one.timed = operation_duration;
        else if (is_whole_trace) one.timed = workflow_duration;
        return one;
    }

private:
    static double seconds_between(std::uint64_t begin, std::uint64_t end) noexcept {
        return end > begin ? static_cast<double>(end - begin) * 1e-9 : 0; // the clock may have been set back
    }

    static std::optional<std::uint64_t> count_of(std::string_view usage, std::string_view member) noexcept {
        if (usage.empty()) return std::nullopt;
        const std::string_view digits = json_find(usage, {member});
        constexpr std::size_t most_digits = 19; // below 2^64
        if (digits.empty() || digits.size() > most_digits) return std::nullopt;
        std::uint64_t count = 0;
        for (const char c : digits) {
            if (c < '0' || c > '9') return std::nullopt;
            count = count * 10 + static_cast<std::uint64_t>(c - '0');
        }
        return count;
    }

    void read_event(std::string_view event, std::uint64_t& chunk) noexcept {
        std::uint64_t time = 0;
        std::string_view event_name, type;
        for (protobuf_reader at(event); at.next();) {
            if (at.field() == otlp::event_time) time = at.number();
            else if (at.field() == otlp::event_name) event_name = at.bytes();
            else if (at.field() == otlp::event_attributes)
                if (const auto [key, text] = text_attribute(at.bytes()); key == "exception.type") type = text;
        }
        if (event_name == "mlflow.chunk.item.0") chunk = time;
        if (event_name == "exception" && !error.empty() && !type.empty()) error = type;
    }

    // Attributes that the application itself set under the conventions' names take precedence over those derived from
    // MLflow's.
    void read_own_terms(std::string_view key_value, std::string_view& error_type) noexcept {
        const auto [key, any_value] = split_key_value(key_value);
        if (!key.starts_with("gen_ai.") && !key.starts_with("error.")) return;
        if (key == "gen_ai.usage.input_tokens" || key == "gen_ai.usage.output_tokens") {
            for (protobuf_reader any(any_value); any.next();)
                if (any.field() == otlp::int_value && any.number() >> 63U == 0)
                    (key == "gen_ai.usage.input_tokens" ? input_tokens : output_tokens) = any.number();
            return;
        }
        std::string_view* const meant =
            key == "gen_ai.operation.name"                                                             ? &operation
            : key == "gen_ai.request.model"                                                            ? &model
            : key == "gen_ai.provider.name"                                                            ? &provider
            : key == "gen_ai.agent.name" || key == "gen_ai.tool.name" || key == "gen_ai.workflow.name" ? &name
            : key == "error.type"                                                                      ? &error_type
                                                                                                       : nullptr;
        if (!meant) return;
        for (protobuf_reader any(any_value); any.next();)
            if (any.field() == otlp::string_value && !any.bytes().empty()) *meant = any.bytes();
    }
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
