// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rows.hpp"
#include <mlflow/trace/client/intervals.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// Compares groups of traces: their values with confidence intervals, and where they differ.
namespace compared {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

inline constexpr const char* methods =
    "Parentheses enclose 95 % confidence intervals, which assume independent traces. Rates: Wilson's score interval "
    "(1927). Percentiles: order statistics (David and Nagaraja, Order Statistics, 7.1). Feedback: Wilson for yes or "
    "no, "
    "otherwise Student's t. ▲ and ▼ mark significant differences: by Newcombe's interval (1998) for rates, by "
    "intervals "
    "that do not overlap for the rest. Of 20 groups that do not differ, expect about one mark.";

inline json interval(const std::optional<mt::confidence_interval>& of) {
    return of ? json{of->low, of->high} : json();
}

inline void add_intervals(json& row, const mt::activity& of) {
    row["error_rate_95"] = interval(mt::wilson_interval(of.errors, of.interactions));
    row["duration_ms_95"] = {{"p50", interval(mt::percentile_interval(of.durations, 50))},
                             {"p95", interval(mt::percentile_interval(of.durations, 95))}};
}

// The part of `whole` that is not in `part`.
inline mt::activity rest_of(const mt::activity& whole, const mt::activity& part) {
    mt::activity rest;
    rest.interactions = whole.interactions - part.interactions;
    rest.errors = whole.errors - part.errors;
    rest.durations = whole.durations.without(part.durations);
    rest.feedback = whole.feedback;
    for (const auto& [name, scores] : part.feedback) {
        mt::feedback_statistics& left = rest.feedback[name];
        left.count -= scores.count;
        left.scored -= scores.scored;
        left.binary -= scores.binary;
        left.sum -= scores.sum;
        left.sum_of_squares -= scores.sum_of_squares;
    }
    return rest;
}

inline mt::activity sum_of(const std::vector<mt::group_summary>& groups) {
    mt::activity sum;
    for (const mt::group_summary& one : groups) {
        sum.interactions += one.interactions;
        sum.errors += one.errors;
        sum.durations.add(one.durations);
        for (const auto& [name, scores] : one.feedback) {
            mt::feedback_statistics& all = sum.feedback[name];
            all.count += scores.count;
            all.scored += scores.scored;
            all.binary += scores.binary;
            all.sum += scores.sum;
            all.sum_of_squares += scores.sum_of_squares;
        }
    }
    return sum;
}

// `errors ▲`, `p95 ▲`, `helpful ▼`.
inline std::vector<std::string> differences(const mt::activity& here, const mt::activity& there) {
    std::vector<std::string> found;
    if (here.interactions == 0 || there.interactions == 0) return found;
    const auto by = mt::newcombe_interval(here.errors, here.interactions, there.errors, there.interactions);
    if (!by.contains(0)) found.emplace_back(by.low > 0 ? "errors ▲" : "errors ▼");
    const auto add = [&](const std::string& name, const auto& a, const auto& b) {
        if (a && b && a->is_apart_from(*b)) found.push_back(name + (a->low > b->high ? " ▲" : " ▼"));
    };
    for (const int percent : {50, 95})
        add("p" + std::to_string(percent), mt::percentile_interval(here.durations, percent),
            mt::percentile_interval(there.durations, percent));
    for (const auto& [name, scores] : here.feedback) {
        const auto other = there.feedback.find(name);
        if (other == there.feedback.end()) continue;
        const mt::feedback_statistics& b = other->second;
        if (scores.scored == 0 || b.scored == 0) continue;
        if (scores.binary == scores.scored && b.binary == b.scored) {
            const auto change = mt::newcombe_interval(static_cast<std::size_t>(scores.sum), scores.scored,
                                                      static_cast<std::size_t>(b.sum), b.scored);
            if (!change.contains(0)) found.push_back(name + (change.low > 0 ? " ▲" : " ▼"));
        } else {
            add(name, mt::mean_interval(scores), mt::mean_interval(b));
        }
    }
    return found;
}

inline std::string with_interval(double value, const json& interval, double factor, const char* format) {
    std::string text = table::number_text(value * factor, format);
    if (!interval.is_array()) return text + " (few)";
    return text + " (" + table::number_text(interval[0].get<double>() * factor, format) + "–" +
           table::number_text(interval[1].get<double>() * factor, format) + ")";
}

// The same values formatted for people.
inline json row_of_table(const json& data, const mt::activity& of) {
    json row;
    for (const char* const name : {"value", "period", "interactions"})
        if (data.contains(name)) row[name] = data[name];
    row["error_95"] = with_interval(of.error_rate(), data["error_rate_95"], 100, "%.1f");
    row["p50_95"] = with_interval(of.durations.percentile(50), data["duration_ms_95"]["p50"], 1, "%.0f");
    row["p95_95"] = with_interval(of.durations.percentile(95), data["duration_ms_95"]["p95"], 1, "%.0f");
    row["latency"] = rows::latency(of.durations);
    row["cost"] = of.cost;
    row["users"] = data["users"];
    row["sessions"] = data["sessions"];
    std::string differs;
    for (const json& one : data["differs"]) differs += (differs.empty() ? "" : ", ") + one.get<std::string>();
    row["differs"] = differs.empty() ? json() : json(differs);
    row["feedback"] = data["feedback"];
    return row;
}

} // namespace compared
