// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/client/trace_info.hpp>
#include <mlflow/trace/detail/timestamp.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// RFC 3339 in UTC with milliseconds: `2026-11-23T04:03:42.571Z`.
[[nodiscard]] inline std::string to_string(trace_time time) {
    return detail::rfc3339(static_cast<std::uint64_t>(time.time_since_epoch().count()) * 1'000'000);
}

/// The assessments of a trace that count, as rows of name, value and who said so.
[[nodiscard]] inline nlohmann::ordered_json feedback_rows(const trace_info& trace) {
    auto rows = nlohmann::ordered_json::array();
    for (const assessment& one : trace.assessments) {
        if (one.what != assessment::kind::feedback || !one.valid) continue;
        auto value = nlohmann::ordered_json::parse(one.value, nullptr, false);
        if (value.is_discarded()) value = nullptr;
        rows.push_back({{"name", one.name},
                        {"value", std::move(value)},
                        {"of", one.is_of_session()   ? "session"
                               : one.span_id.empty() ? "trace"
                                                     : "span"},
                        {"source_type", one.source.type},
                        {"source", one.source.id},
                        {"rationale", one.rationale}});
    }
    return rows;
}

/// One row of a data frame: what a trace says about itself. What is not there is null.
[[nodiscard]] inline nlohmann::ordered_json trace_row(const trace_info& trace) {
    using json = nlohmann::ordered_json;
    const auto text = [](std::string_view value) { return value.empty() ? json() : json(value); };
    const auto usage = detail::parse_json(trace["mlflow.trace.tokenUsage"]).value_or(nlohmann::json());
    const auto cost = detail::parse_json(trace["mlflow.trace.cost"]).value_or(nlohmann::json());
    return {{"trace_id", trace.trace_id},
            {"request_id", text(trace.client_request_id)},
            {"experiment_id", text(trace.experiment_id)},
            {"timestamp", to_string(trace.request_time)},
            {"duration_ms", trace.execution_duration.count()},
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

/// One line of JSON, with its newline: what `pandas.read_json(lines=True)` and DuckDB's `read_json` take.
template <class Json>
[[nodiscard]] std::string json_line(const Json& row) {
    return row.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

/// A row of CSV, RFC 4180: texts in quotes, null as nothing, lists and objects as JSON text. The first row of a file
/// is that of the names.
template <class Json>
[[nodiscard]] std::string csv_line(const Json& row, bool names = false) {
    std::string line;
    for (const auto& [name, value] : row.items()) {
        if (!line.empty()) line += ',';
        if (!names && value.is_null()) {
            if (line.empty()) line += "\"\""; // an empty first field
            continue;
        }
        if (!names && (value.is_number() || value.is_boolean())) {
            line += value.dump();
            continue;
        }
        line += '"';
        for (const char c : names               ? std::string(name)
                            : value.is_string() ? value.template get<std::string>()
                                                : value.dump(-1, ' ', false, Json::error_handler_t::replace))
            line += c == '"' ? std::string("\"\"") : std::string(1, c);
        line += '"';
    }
    return line + "\r\n";
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
