// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "glyphs.hpp"
#include <mlflow/trace/client.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

// The rows that the commands print, with their fields in order.
namespace rows {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

inline json durations(const mt::duration_statistics& all) {
    return {
        {"mean", all.mean()}, {"p50", all.percentile(50)}, {"p95", all.percentile(95)}, {"p99", all.percentile(99)}};
}

inline json feedback(const mt::activity& of) {
    json scores = json::object();
    for (const auto& [name, all] : of.feedback) {
        const auto around = mt::mean_interval(all);
        scores[name] = {{"count", all.count},
                        {"mean", all.scored == 0 ? json() : json(all.mean())},
                        {"low", around ? json(around->low) : json()},
                        {"high", around ? json(around->high) : json()}};
    }
    return scores;
}

// The distribution of durations for tables: up to 0.1, 0.3, 1, 3, 10 and 30 seconds, and longer.
inline std::string latency(const mt::duration_statistics& all) {
    using namespace std::chrono_literals;
    std::vector<double> counts;
    std::size_t before = 0;
    for (const auto edge : {100ms, 300ms, 1000ms, 3000ms, 10'000ms, 30'000ms}) {
        const std::size_t now = all.count_up_to(edge);
        counts.push_back(static_cast<double>(now - before));
        before = now;
    }
    counts.push_back(static_cast<double>(all.count() - before));
    return table::sparkline(counts);
}

inline void add_activity(json& row, const mt::activity& of) {
    row["first_seen"] = mt::to_string(of.first_seen);
    row["last_seen"] = mt::to_string(of.last_seen);
    row["duration_ms"] = durations(of.durations);
    row["errors"] = of.errors;
    row["error_rate"] = of.error_rate();
    row["last_error"] = of.errors == 0 ? json() : json(mt::to_string(of.last_error));
    row["last_error_trace"] = of.errors == 0 ? json() : json(of.last_error_id);
    row["input_tokens"] = of.input_tokens;
    row["output_tokens"] = of.output_tokens;
    row["cost"] = of.cost;
}

inline json of(const mt::user_summary& found) {
    json row{{"user", found.user}, {"interactions", found.interactions}, {"sessions", found.sessions}};
    add_activity(row, found);
    row["feedback"] = feedback(found);
    return row;
}

inline json of(const mt::session_summary& found) {
    json row{{"session", found.session},
             {"user", found.user.empty() ? json() : json(found.user)},
             {"users", found.users},
             {"turns", found.interactions}};
    add_activity(row, found);
    row["length_ms"] = found.duration().count();
    row["idle_ms"] = (mt::current_time() - found.last_end).count();
    row["first_input"] = found.first_input.empty() ? json() : json(found.first_input);
    row["feedback"] = feedback(found);
    return row;
}

inline json of(const mt::group_summary& found) {
    json row{{"value", found.value},
             {"interactions", found.interactions},
             {"users", found.users},
             {"sessions", found.sessions}};
    add_activity(row, found);
    row["feedback"] = feedback(found);
    return row;
}

inline json of(const mt::session_turn& turn) {
    const mt::trace_info& trace = turn.trace;
    const auto text = [](const std::string& value) { return value.empty() ? json() : json(value); };
    return {{"turn", turn.number},
            {"trace_id", trace.trace_id},
            {"request_id", text(trace.client_request_id)},
            {"user", text(std::string(trace.user()))},
            {"timestamp", mt::to_string(trace.request_time)},
            {"duration_ms", trace.has_duration ? json(trace.execution_duration.count()) : json()},
            {"gap_ms", turn.gap ? json(turn.gap->count()) : json()},
            {"status", mt::to_string(trace.status)},
            {"request", text(trace.request_preview)},
            {"response", text(trace.response_preview)},
            {"feedback", mt::feedback_rows(trace)}};
}

// One row for each piece of feedback.
inline std::vector<json> feedback_of(const mt::trace_info& trace) {
    std::vector<json> found;
    for (const json& one : mt::feedback_rows(trace)) {
        json row{{"trace_id", trace.trace_id},
                 {"timestamp", mt::to_string(trace.request_time)},
                 {"user", trace.user().empty() ? json() : json(trace.user())},
                 {"session", trace.session().empty() ? json() : json(trace.session())}};
        row.update(one);
        found.push_back(std::move(row));
    }
    return found;
}

} // namespace rows
