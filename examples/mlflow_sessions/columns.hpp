// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "glyphs.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The columns of a table, and how their values are written.
namespace table {

using json = nlohmann::ordered_json;

enum class kind : std::uint8_t {
    any,  ///< unchanged
    id,   ///< never truncated: it may be copied
    time, ///< never truncated
    text, ///< may be truncated
    milliseconds,
    length, ///< milliseconds, shown in suitable units
    rate,   ///< in percent
    money,  ///< US dollars
    figure, ///< a number as text, for example with its interval
    chart
};

struct column_rule {
    std::string_view name; ///< of a member, or of a member of a member
    std::string_view head;
    kind how;
    int rank; ///< order in which columns are left out if there is no room; 0: never
};
inline constexpr column_rule rules[] = {
    {"user", "user", kind::id, 0},
    {"session", "session", kind::id, 0},
    {"users", "users", kind::id, 4},
    {"value", "value", kind::id, 0},
    {"trace_id", "trace_id", kind::id, 1},
    {"request_id", "request_id", kind::id, 7},
    {"period", "period", kind::time, 0},
    {"turn", "turn", kind::any, 0},
    {"turns", "turns", kind::any, 1},
    {"interactions", "traces", kind::any, 1},
    {"sessions", "sessions", kind::any, 5},
    {"timestamp", "timestamp", kind::time, 1},
    {"status", "status", kind::any, 1},
    {"errors", "errors", kind::any, 1},
    {"error_rate", "error %", kind::rate, 3},
    {"last_error", "last_error", kind::time, 4},
    {"last_error_trace", "last_error_trace", kind::id, 12},
    {"last_seen", "last_seen", kind::time, 2},
    {"first_seen", "first_seen", kind::time, 9},
    {"idle_ms", "idle", kind::length, 5},
    {"length_ms", "length", kind::length, 6},
    {"duration_ms", "ms", kind::milliseconds, 2},
    {"gap_ms", "gap", kind::length, 6},
    {"p95", "p95 ms", kind::milliseconds, 3},
    {"p50", "p50 ms", kind::milliseconds, 6},
    {"p99", "p99 ms", kind::milliseconds, 9},
    {"mean", "mean ms", kind::milliseconds, 10},
    {"latency", ".1s…30s", kind::chart, 7},
    {"cost", "cost $", kind::money, 5},
    {"input_tokens", "tokens in", kind::any, 8},
    {"output_tokens", "tokens out", kind::any, 8},
    {"first_input", "first_input", kind::text, 8},
    {"request", "request", kind::text, 5},
    {"response", "response", kind::text, 5},
    {"rationale", "rationale", kind::text, 5},
    {"key", "key", kind::id, 0},
    {"error", "error", kind::text, 0},
    {"traces", "traces", kind::any, 0},
    {"others_95", "others % (95 %)", kind::figure, 2},
    {"error_95", "error % (95 %)", kind::figure, 1},
    {"p50_95", "p50 ms (95 %)", kind::figure, 4},
    {"p95_95", "p95 ms (95 %)", kind::figure, 2},
    {"differs", "differs", kind::id, 2},
};

inline std::string number_text(double number, const char* format) {
    char text[64];
    std::snprintf(text, sizeof text, format, number);
    return text;
}

// `850ms`, `12.4s`, `4m 05s`, `3h 20m`, `2d 04h`.
inline std::string length_text(double milliseconds) {
    const double size = std::abs(milliseconds);
    const std::string sign = milliseconds < 0 ? "-" : "";
    if (size < 1000) return sign + number_text(size, "%.0fms");
    if (size < 60'000) return sign + number_text(std::floor(size / 100) / 10, "%.1fs");
    const auto seconds = static_cast<long long>(size / 1000);
    char text[64];
    if (seconds < 3600) std::snprintf(text, sizeof text, "%lldm %02llds", seconds / 60, seconds % 60);
    else if (seconds < 172'800) std::snprintf(text, sizeof text, "%lldh %02lldm", seconds / 3600, seconds / 60 % 60);
    else std::snprintf(text, sizeof text, "%lldd %02lldh", seconds / 86'400, seconds / 3600 % 24);
    return sign + text;
}

inline std::string money_text(double dollars) {
    return number_text(dollars, std::abs(dollars) < 1 ? "%.4f" : "%.2f");
}

// A point in time to the second; `--since` accepts this format.
inline std::string time_text(std::string_view rfc3339) {
    std::string shown(rfc3339);
    if (shown.size() == 24 && shown[19] == '.') shown.erase(19, 4);
    return shown;
}

inline std::string cell(const json& value, kind how = kind::any) {
    if (value.is_null()) return "-";
    if (value.is_string()) {
        const auto text = value.get<std::string>();
        return harmless(how == kind::time ? time_text(text) : text);
    }
    if (value.is_number()) {
        const double number = value.get<double>();
        switch (how) {
        case kind::milliseconds: return number_text(number, "%.0f");
        case kind::length: return length_text(number);
        case kind::rate: return number_text(number * 100, "%.1f");
        case kind::money: return money_text(number);
        default: break;
        }
        if (value.is_number_float())
            return number_text(number, number < 1 ? "%.4g" : number < 1000 ? "%.1f" : "%.0f");
    }
    if (value.is_array()) {             // texts, or feedback
        constexpr std::size_t most = 3; // for example users of one session; the rest is counted
        std::string all;
        for (const json& one : value) {
            if (how == kind::id && value.size() > most && &one == &value[most])
                return all + " +" + std::to_string(value.size() - most);
            all += all.empty() ? "" : ", ";
            if (!one.is_object()) all += cell(one);
            else if (const json& error = one.value("error", json()); !error.is_null())
                all += cell(one.value("name", json())) + " failed: " + cell(error);
            else all += cell(one.value("name", json())) + '=' + cell(one.value("value", json()));
        }
        return all.empty() ? "-" : all;
    }
    if (value.is_object() && value.contains("mean")) { // feedback of one name
        const json& mean = value["mean"];
        const std::string count = cell(value.value("count", json()));
        if (mean.is_null()) return "- of " + count;
        std::string text = number_text(mean.get<double>(), "%.2f");
        if (const json low = value.value("low", json()), high = value.value("high", json()); low.is_number())
            text += number_text(low.get<double>(), " (%.2f–") + number_text(high.get<double>(), "%.2f)");
        return text + " of " + count;
    }
    return harmless(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

// The position of a column's values in a row. Members of an inner object have columns of their own: duration_ms.p95
// has the head of its inner name, or duration_ms.p95 if another column has that head already.
struct column {
    std::string outer;
    std::optional<std::string> inner; // none: the value of the row itself
    std::string head{};
    kind how = kind::any;
    int rank = 6;
    std::size_t width = 0;
    bool is_number = true;

    [[nodiscard]] const json& value_in(const json& row) const {
        static const json none;
        const auto found = row.find(outer);
        if (found == row.end()) return none;
        if (!inner) return found->is_object() ? none : *found;
        const auto member = found->is_object() ? found->find(*inner) : found->end();
        return member == found->end() ? none : *member;
    }
    [[nodiscard]] std::string text_in(const json& row) const { return cell(value_in(row), how); }
    [[nodiscard]] bool is_whole() const noexcept { return how != kind::text && how != kind::any; }
    /// Whether `name` refers to this column.
    [[nodiscard]] bool is_called(std::string_view name) const {
        return name == head || name == (inner ? outer + '.' + *inner : outer) || (inner && name == *inner);
    }
};

// The columns of all rows, in order of first occurrence.
inline std::vector<column> columns_of(const std::vector<json>& rows) {
    std::vector<column> found;
    std::set<std::pair<std::string, std::optional<std::string>>> known;
    std::set<std::string> heads;
    const auto add = [&](const std::string& outer, const std::optional<std::string>& inner) {
        if (!known.emplace(outer, inner).second) return;
        column one{outer, inner, harmless(inner.value_or(outer))};
        if (!inner || outer == "duration_ms") // names in feedback are chosen by users
            for (const column_rule& rule : rules)
                if (rule.name == inner.value_or(outer)) {
                    one.head = rule.head;
                    one.how = rule.how;
                    one.rank = rule.rank;
                }
        if (heads.contains(one.head) && inner) one.head = harmless(outer + '.' + *inner);
        while (!heads.insert(one.head).second) one.head += '*';
        found.push_back(std::move(one));
    };
    for (const json& row : rows)
        for (const auto& [name, value] : row.items()) {
            if (!value.is_object()) add(name, std::nullopt);
            else
                for (const auto& [inner, member] : value.items()) add(name, inner);
        }
    return found;
}

} // namespace table
