// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "source.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Explains why a search found nothing.
namespace diagnosis {

namespace mt = mlflow::trace;

struct answer {
    std::string text;           ///< the explanation
    bool is_wrong_name = false; ///< a name on the command line does not exist
};

// The Levenshtein distance.
inline std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t corner = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t changed = corner + (a[i - 1] == b[j - 1] ? 0U : 1U);
            corner = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
        }
    }
    return row[b.size()];
}

using name_counts = std::map<std::string, std::size_t, std::less<>>;

// The most similar names, at most five; without a name, those of the most traces.
inline std::string likely(const name_counts& names, std::string_view told) {
    std::vector<std::pair<std::size_t, std::string>> order;
    for (const auto& [name, count] : names)
        order.emplace_back(told.empty() ? static_cast<std::size_t>(-1) - count : distance(told, name), name);
    std::sort(order.begin(), order.end());
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(5, order.size()); ++i)
        text += (i == 0 ? "" : ", ") + order[i].second;
    return text + (order.size() > 5 ? ", …" : "");
}

// Whether any trace has this value of a key. The keys are `mt::user` and `mt::session`.
inline answer look_for(source& from, std::string_view key, const std::string& name, const char* what) {
    std::size_t found = 0;
    const auto one = from.for_each_trace({.where = mt::field::metadata(key) == name, .max_results = 1},
                                         [&](const mt::trace_info&) { ++found; });
    if (!one || found > 0) return {};
    name_counts others;
    const auto all = from.for_each_trace({.max_results = 5000}, [&](const mt::trace_info& trace) {
        if (!trace[key].empty()) ++others[std::string(trace[key])];
    });
    if (!all) return {};
    const std::string known = others.empty()
                                  ? "no trace has a " + std::string(what) + " (metadata " + std::string(key) + ")"
                                  : "existing names: " + likely(others, name);
    return {std::string("no trace of the ") + what + ' ' + name + "; " + known, true};
}

/// Explains a search without results. `what` is the kind of the rows: user, session, trace; `key` is that of user or
/// session.
inline answer nothing_found(source& from, const arguments::common& told, const char* what,
                            std::string_view key = {}) {
    if (!told.user.empty())
        if (auto found = look_for(from, mt::user::name, told.user, "user"); found.is_wrong_name) return found;
    if (!told.session.empty())
        if (auto found = look_for(from, mt::session::name, told.session, "session"); found.is_wrong_name)
            return found;
    std::size_t matching = 0;
    std::size_t with_key = 0;
    const auto counted = from.for_each_trace(arguments::query_of(told), [&](const mt::trace_info& trace) {
        ++matching;
        with_key += !key.empty() && !trace[key].empty() ? 1U : 0U;
    });
    if (!counted) return {"nothing found", false};
    if (matching > 0 && with_key == 0 && !key.empty())
        return {table::counted(matching, "trace") + ", none with a " + what + ": record " + std::string(key), false};
    if (matching > 0)
        return {std::string("nothing found: no ") + what +
                    " matches (searched: " + table::counted(matching, "trace") + ')',
                false};
    std::string newest;
    std::size_t any = 0;
    const auto all = from.for_each_trace({.order_by = {mt::field::timestamp.descending()}, .max_results = 1},
                                         [&](const mt::trace_info& trace) {
                                             ++any;
                                             newest = mt::to_string(trace.request_time);
                                         });
    if (!all) return {"nothing found", false};
    if (any == 0)
        return {"nothing found: there are no traces at all in this " +
                    std::string(from.file() ? "file" : "experiment"),
                false};
    return {"nothing found: no trace matches; the newest is from " + newest, false};
}

} // namespace diagnosis
