// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/metadata/identity.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A point in time as MLflow keeps it: milliseconds since 1970, UTC.
using trace_time = std::chrono::sys_time<std::chrono::milliseconds>;

/// How a trace ended: MLflow's `TraceState`.
enum class trace_status : std::uint8_t { unspecified, ok, error, in_progress };

/// As MLflow writes it, on the wire and in filters.
[[nodiscard]] constexpr std::string_view to_string(trace_status status) noexcept {
    switch (status) {
    case trace_status::ok: return "OK";
    case trace_status::error: return "ERROR";
    case trace_status::in_progress: return "IN_PROGRESS";
    case trace_status::unspecified: break;
    }
    return "STATE_UNSPECIFIED";
}

/// Metadata or tags.
using text_map = std::map<std::string, std::string, std::less<>>;

/// Who or what judged.
struct assessment_source {
    std::string type = "HUMAN"; ///< `HUMAN`, `LLM_JUDGE` or `CODE`
    std::string id{};           ///< such as the user's ID
};

/// A judgement that is stored with a trace: feedback, or an expectation.
struct assessment {
    enum class kind : std::uint8_t { feedback, expectation, other };

    std::string id;
    std::string trace_id;
    std::string span_id; ///< empty: of the whole trace
    std::string name;
    kind what = kind::other;
    std::string value;   ///< as JSON text: `true`, `0.8`, `"good"`; empty when there is none
    std::string error{}; ///< why there is no value: code and message of what failed; empty when nothing did
    std::string rationale;
    assessment_source source;
    text_map metadata;
    std::string overrides; ///< ID of the assessment that this one replaces
    bool valid = true;     ///< false: another one overrides it

    /// Is it of a whole session? It is then stored with the session's first trace.
    [[nodiscard]] bool is_of_session() const { return metadata.contains(session::name); }
};

/// What is known of a trace without its spans. Texts that are not there are empty.
struct trace_info {
    std::string trace_id; ///< `tr-` and 32 hexadecimal digits
    std::string client_request_id;
    std::string experiment_id;
    trace_time request_time{};
    std::chrono::milliseconds execution_duration{0}; ///< 0 where it is not known
    bool has_duration = true;                        ///< false: the trace has not ended, or ended before it began
    trace_status status = trace_status::unspecified;
    std::string request_preview;
    std::string response_preview;
    text_map metadata;
    text_map tags;
    std::vector<assessment> assessments;

    /// The value of a metadata key, or an empty text.
    [[nodiscard]] std::string_view operator[](std::string_view key) const noexcept { return value_of(metadata, key); }
    [[nodiscard]] std::string_view user() const noexcept { return (*this)[trace::user::name]; }
    [[nodiscard]] std::string_view session() const noexcept { return (*this)[trace::session::name]; }
    [[nodiscard]] std::string_view tag(std::string_view key) const noexcept { return value_of(tags, key); }
    [[nodiscard]] std::string_view name() const noexcept { return tag(detail::mlflow_names::trace_name); }
    [[nodiscard]] trace_time end_time() const noexcept { return request_time + execution_duration; }

private:
    static std::string_view value_of(const text_map& values, std::string_view key) noexcept {
        const auto found = values.find(key);
        return found == values.end() ? std::string_view{} : found->second;
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
