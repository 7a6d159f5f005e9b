// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/csv.hpp>
#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/client/trace_info.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/text/displayed.hpp>
#include <mlflow/trace/text/timestamp.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// RFC 3339 in UTC with milliseconds: `2026-11-23T04:03:42.571Z`. Times before year 0 or after 9999 are clamped.
[[nodiscard]] inline std::string to_string(trace_time time) {
    namespace chr = std::chrono;
    time = std::clamp(time, detail::first_time, detail::last_time);
    const auto day = chr::floor<chr::days>(time);
    const chr::year_month_day date(day);
    const chr::hh_mm_ss clock(time - day);
    std::string text;
    const auto append = [&text](auto number, int width, const char* behind) {
        detail::append_padded(text, static_cast<std::uint64_t>(number), width);
        text += behind;
    };
    append(static_cast<int>(date.year()), 4, "-");
    append(static_cast<unsigned>(date.month()), 2, "-");
    append(static_cast<unsigned>(date.day()), 2, "T");
    append(clock.hours().count(), 2, ":");
    append(clock.minutes().count(), 2, ":");
    append(clock.seconds().count(), 2, ".");
    append(clock.subseconds().count(), 3, "Z");
    return text;
}

/// The valid feedback of a trace, as rows.
[[nodiscard]] inline nlohmann::ordered_json feedback_rows(const trace_info& trace) {
    auto rows = nlohmann::ordered_json::array();
    for (const assessment& one : trace.assessments) {
        if (one.what != assessment::kind::feedback || !one.valid) continue;
        const auto value = detail::parse_json<nlohmann::ordered_json>(one.value);
        rows.push_back({{"name", one.name},
                        {"value", value ? *value : nlohmann::ordered_json()},
                        {"error", one.error.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(one.error)},
                        {"of", one.is_of_session()   ? "session"
                               : one.span_id.empty() ? "trace"
                                                     : "span"},
                        {"source_type", one.source.type},
                        {"source", one.source.id},
                        {"rationale", one.rationale}});
    }
    return rows;
}

/// A trace as one row of a data frame. Missing values are null.
[[nodiscard]] inline nlohmann::ordered_json trace_row(const trace_info& trace) {
    using json = nlohmann::ordered_json;
    const auto text = [](std::string_view value) { return value.empty() ? json() : json(value); };
    const auto usage = detail::parse_json(trace[detail::mlflow_names::trace_token_usage]).value_or(nlohmann::json());
    const auto cost = detail::parse_json(trace[detail::mlflow_names::trace_cost]).value_or(nlohmann::json());
    return {{"trace_id", trace.trace_id},
            {"request_id", text(trace.client_request_id)},
            {"experiment_id", text(trace.experiment_id)},
            {"timestamp", to_string(trace.request_time)},
            {"duration_ms", trace.has_duration ? json(trace.execution_duration.count()) : json()},
            {"status", to_string(trace.status)},
            {"name", text(trace.name())},
            {"user", text(trace.user())},
            {"session", text(trace.session())},
            {"input_tokens", json(detail::member(usage, "input_tokens"))},
            {"output_tokens", json(detail::member(usage, "output_tokens"))},
            {"cost", json(detail::member(cost, "total_cost"))},
            {"request", text(trace.request_preview)},
            {"response", text(trace.response_preview)},
            {"metadata", json(trace.metadata)},
            {"tags", json(trace.tags)},
            {"feedback", feedback_rows(trace)}};
}

/// A row as one line of JSON that ends in a newline, for `pandas.read_json(lines=True)` and DuckDB's `read_json`.
/// Control characters, and characters that would reorder or hide text on a terminal, are escaped; the values do not
/// change.
template <class Json>
[[nodiscard]] std::string json_line(const Json& row) {
    return detail::escaped_json(row.dump(-1, ' ', false, Json::error_handler_t::replace)) + '\n';
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
