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

[[nodiscard]] inline trace_time current_time() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

/// Which sessions are meant.
struct session_query {
    filter where{};                            ///< sessions with at least one such trace
    totals_filter having{};                    ///< that add up to this, over all of their traces
    std::vector<std::string> experiment_ids{}; ///< none: the experiment of the options
    trace_time now = current_time();           ///< for idle times
    /// With up to so many sessions chosen by `where`, each is asked for by itself; above it, all traces are read. On
    /// a server 100 is good; 0 is for a file, which is read from beginning to end in any case.
    std::size_t most_searches = 0;
};

/// Whole sessions: a session is chosen by any of its traces, and adds up over all of them, so that a filter on status
/// or time does not change what its turns are. In the order in which they began. Traces without a session are in
/// none. Errors: those of a search. Memory grows with sessions, their users and first inputs.
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
