// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/assessment.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/metadata/identity.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A time as MLflow stores it: milliseconds since 1970-01-01 UTC.
using trace_time = std::chrono::sys_time<std::chrono::milliseconds>;

/// How a trace ended: MLflow's `TraceState`.
enum class trace_status : std::uint8_t { unspecified, ok, error, in_progress };

/// MLflow's name of the status, on the wire and in filters.
[[nodiscard]] constexpr std::string_view to_string(trace_status status) noexcept {
    switch (status) {
    case trace_status::ok: return "OK";
    case trace_status::error: return "ERROR";
    case trace_status::in_progress: return "IN_PROGRESS";
    case trace_status::unspecified: break;
    }
    return "STATE_UNSPECIFIED";
}

/// A trace without its spans. Missing texts are empty.
struct trace_info {
    std::string trace_id; ///< `tr-` and 32 hexadecimal digits
    /// The client request ID.
    std::string client_request_id;
    /// The experiment.
    std::string experiment_id;
    /// When the trace started.
    trace_time request_time{};
    std::chrono::milliseconds execution_duration{0}; ///< 0 if unknown
    bool has_duration = true;                        ///< false: the trace has no end, or an end before its start
    /// How the trace ended.
    trace_status status = trace_status::unspecified;
    /// The beginning of its inputs.
    std::string request_preview;
    /// The beginning of its outputs.
    std::string response_preview;
    /// Its metadata.
    text_map metadata;
    /// Its tags.
    text_map tags;
    /// Its assessments.
    std::vector<assessment> assessments;

    /// The value of a metadata key, or an empty text.
    [[nodiscard]] std::string_view operator[](std::string_view key) const noexcept { return value_of(metadata, key); }
    /// The user, or an empty text.
    [[nodiscard]] std::string_view user() const noexcept { return (*this)[trace::user::name]; }
    /// The session, or an empty text.
    [[nodiscard]] std::string_view session() const noexcept { return (*this)[trace::session::name]; }
    /// The value of a tag, or an empty text.
    [[nodiscard]] std::string_view tag(std::string_view key) const noexcept { return value_of(tags, key); }
    /// The name of the trace, or an empty text.
    [[nodiscard]] std::string_view name() const noexcept { return tag(detail::mlflow_names::trace_name); }
    /// When the trace ended; its start if the end is unknown.
    [[nodiscard]] trace_time end_time() const noexcept { return request_time + execution_duration; }

private:
    static std::string_view value_of(const text_map& values, std::string_view key) noexcept {
        const auto found = values.find(key);
        return found == values.end() ? std::string_view{} : found->second;
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
