// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"
#include "compared.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// Of all keys, the values with which traces fail more often than without.
namespace commands {

struct suspect {
    std::string key;
    std::string value;
    std::size_t traces = 0;
    std::size_t errors = 0;
    mt::confidence_interval difference; ///< of the rate with and without
};

inline int print_suspects(source& from, const arguments::common& told) {
    constexpr std::size_t most_values = 50; // a key with more is as good as an ID
    struct count {
        std::size_t traces = 0;
        std::size_t errors = 0;
    };
    std::map<std::string, std::map<std::string, count>, std::less<>> keys;
    count all;
    const auto done = from.for_each_trace(arguments::query_of(told), [&](const mt::trace_info& trace) {
        const std::size_t errors = trace.status == mt::trace_status::error ? 1 : 0;
        const auto add = [&](const std::string& key, const std::string& value) {
            if (key == mt::session::name) return; // that one is answered by `sessions --failed`
            auto& values = keys[key];
            if (values.size() > most_values) return;
            count& one = values[value];
            ++one.traces;
            one.errors += errors;
        };
        ++all.traces;
        all.errors += errors;
        for (const auto& [key, value] : trace.metadata) add(key, value);
        for (const auto& [key, value] : trace.tags) add("tag." + key, value);
    });
    if (!done) return fail(done.error().message());
    if (all.traces == 0) return print_nothing(from, told, "trace");
    std::vector<suspect> found;
    std::string compared_keys;
    for (const auto& [key, values] : keys) {
        if (values.size() > most_values) continue;
        bool is_compared = false;
        for (const auto& [value, one] : values) {
            if (one.traces == all.traces) continue;
            is_compared = true;
            const auto difference =
                mt::newcombe_interval(one.errors, one.traces, all.errors - one.errors, all.traces - one.traces);
            if (difference.low > 0) found.push_back({key, value, one.traces, one.errors, difference});
        }
        if (is_compared) compared_keys += (compared_keys.empty() ? "" : ", ") + key;
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const suspect& a, const suspect& b) { return a.difference.low > b.difference.low; });
    if (found.empty() && !told.json) {
        const std::string text = all.errors == 0 ? "none of " + std::to_string(all.traces) + " traces failed"
                                 : compared_keys.empty()
                                     ? "no key by which traces could be told apart"
                                     : "no value fails more often than the others; keys compared: " + compared_keys;
        for (const std::string& line : table::wrapped(table::harmless(text), table::width_of_terminal()))
            std::cout << line << '\n';
        return flushed();
    }
    std::vector<json> rows;
    for (const suspect& one : found) {
        const auto rest = all.traces - one.traces;
        const auto rest_errors = all.errors - one.errors;
        const auto rate = [](std::size_t errors, std::size_t traces) {
            return static_cast<double>(errors) / static_cast<double>(traces);
        };
        const json here = compared::interval(mt::wilson_interval(one.errors, one.traces));
        const json there = compared::interval(mt::wilson_interval(rest_errors, rest));
        json row{{"key", one.key}, {"value", one.value}, {"interactions", one.traces}, {"errors", one.errors}};
        if (told.json) {
            row["error_rate"] = rate(one.errors, one.traces);
            row["error_rate_95"] = here;
            row["others_error_rate"] = rate(rest_errors, rest);
            row["others_error_rate_95"] = there;
            row["difference_95"] = compared::interval(one.difference);
        } else {
            row["error_95"] = compared::with_interval(rate(one.errors, one.traces), here, 100, "%.1f");
            row["others_95"] = compared::with_interval(rate(rest_errors, rest), there, 100, "%.1f");
        }
        rows.push_back(std::move(row));
    }
    return print(from, std::move(rows), told);
}

} // namespace commands
