// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/totals.hpp>
#include <mlflow/trace/client/totals_parser.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The current time.
[[nodiscard]] inline trace_time current_time() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

/// Which sessions to find.
struct session_query {
    filter where{};                            ///< sessions with at least one matching trace
    totals_filter having{};                    ///< conditions on the totals over all traces of a session
    std::vector<std::string> experiment_ids{}; ///< empty: the experiment of the options
    trace_time now = current_time();           ///< for idle times
    /// If `where` selects at most this number of sessions, each is searched separately; otherwise all traces are
    /// read. Use 100 for a server, and 0 for a file, which is always read completely.
    std::size_t most_searches = 0;
};

/// Finds whole sessions. A session is selected by any of its traces, but its totals include all of them: a filter on
/// status or time does not change them. Ordered by the start of the session. Traces without a session are left out.
/// Errors: those of the search. Memory grows with the number of sessions, their users and first inputs.
template <trace_source Source>
[[nodiscard]] summaries<session_summary> find_sessions(Source& source, const session_query& query) {
    std::unordered_map<std::string, detail::session_group> groups;
    detail::name_set chosen;
    const auto add = [&groups](const trace_info& trace) {
        if (!trace.session().empty()) groups[std::string(trace.session())].add(trace);
    };
    const auto search = [&](filter where, auto visit) {
        trace_query all;
        all.where = std::move(where);
        all.experiment_ids = query.experiment_ids;
        return source.for_each_trace(all, visit);
    };
    if (query.where.empty() || (query.most_searches == 0 && query.where.is_local())) {
        const auto done = search({}, [&](const trace_info& trace) {
            add(trace);
            if (query.where.matches(trace)) detail::note(chosen, trace.session());
        });
        if (!done) return failure{done.error()};
    } else {
        const auto found =
            search(query.where, [&](const trace_info& trace) { detail::note(chosen, trace.session()); });
        if (!found) return failure{found.error()};
        if (chosen.size() <= query.most_searches) {
            for (const std::string& name : chosen) {
                const auto done = search(field::metadata(session::name) == name, add);
                if (!done) return failure{done.error()};
            }
        } else if (const auto done = search({}, add); !done) {
            return failure{done.error()};
        }
    }
    std::vector<session_summary> sessions;
    for (auto& [name, found] : groups) {
        if (!chosen.contains(name)) continue;
        session_summary one = std::move(found).summary(name);
        if (query.having.matches(one, query.now)) sessions.push_back(std::move(one));
    }
    detail::sort_by_beginning(sessions);
    return sessions;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
