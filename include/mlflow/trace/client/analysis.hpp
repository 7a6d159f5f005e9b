// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/search.hpp>
#include <mlflow/trace/client/statistics.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What one user did. See `summarise_users`.
struct user_summary : activity {
    /// The user's ID.
    std::string user;
    /// The number of the user's sessions.
    std::size_t sessions = 0;
};

/// One session. Its turns are counted as `interactions`. See `summarise_sessions`.
struct session_summary : activity {
    /// The session's ID.
    std::string session;
    std::string user;               ///< of the session's first trace that has a user
    std::vector<std::string> users; ///< all users, in order of their first trace: several may use the same session ID
    std::string first_input;        ///< the request preview of the session's first trace

    /// The time from the start of the first trace to the latest end.
    [[nodiscard]] std::chrono::milliseconds duration() const noexcept { return last_end - first_seen; }
};

/// The traces that have the same value of a key, for example one segment or version. See `summarise_by`.
struct group_summary : activity {
    /// The value.
    std::string value;
    /// The number of users with this value.
    std::size_t users = 0;
    /// The number of sessions with this value.
    std::size_t sessions = 0;
};

/// What the functions below return.
template <class Summary>
using summaries = result<std::vector<Summary>>;

namespace detail {

using name_set = std::unordered_set<std::string>;

// Reads the traces one by one. Memory holds the groups, and the names in them.
template <class Group, trace_source Source, class KeyOf>
result<std::unordered_map<std::string, Group>> group_traces(Source& source, const trace_query& query, KeyOf key_of) {
    std::unordered_map<std::string, Group> groups;
    const auto done = source.for_each_trace(query, [&](const trace_info& trace) {
        if (const std::string_view key = key_of(trace); !key.empty()) groups[std::string(key)].add(trace);
    });
    if (!done) return failure{done.error()};
    return groups;
}

inline void note(name_set& names, std::string_view name) {
    if (!name.empty()) names.emplace(name);
}

} // namespace detail

/// What each user did: interactions, sessions, times, durations, errors, tokens, cost, feedback. Ordered by the
/// number of interactions, the highest first. Traces without a user are left out. Without traces, the list is empty.
/// Errors: those of the search.
template <trace_source Source>
[[nodiscard]] summaries<user_summary> summarise_users(Source& source, const trace_query& query = {}) {
    struct group : activity {
        detail::name_set sessions;
        void add(const trace_info& trace) {
            activity::add(trace);
            detail::note(sessions, trace.session());
        }
    };
    auto groups = detail::group_traces<group>(source, query, [](const trace_info& trace) { return trace.user(); });
    if (!groups) return failure{groups.error()};
    std::vector<user_summary> users;
    for (auto& [name, found] : *groups)
        users.push_back({{static_cast<activity&&>(found)}, name, found.sessions.size()});
    std::sort(users.begin(), users.end(), [](const user_summary& a, const user_summary& b) {
        return a.interactions != b.interactions ? a.interactions > b.interactions : a.user < b.user;
    });
    return users;
}

namespace detail {

struct session_group : activity {
    std::map<std::string, trace_time, std::less<>> users; // with the times of their first traces
    std::string first_id;                                 // ID of the first trace
    std::string first_input;

    void add(const trace_info& trace) {
        const bool is_first =
            interactions == 0 || std::tie(trace.request_time, trace.trace_id) < std::tie(first_seen, first_id);
        if (is_first) first_id = trace.trace_id, first_input = trace.request_preview;
        activity::add(trace);
        if (trace.user().empty()) return;
        const auto [at, is_new] = users.try_emplace(std::string(trace.user()), trace.request_time);
        if (!is_new) at->second = std::min(at->second, trace.request_time);
    }
    [[nodiscard]] session_summary summary(std::string name) && {
        std::vector<std::pair<trace_time, std::string>> order;
        order.reserve(users.size());
        for (const auto& [user, first] : users) order.emplace_back(first, user);
        std::sort(order.begin(), order.end());
        std::vector<std::string> names;
        names.reserve(order.size());
        for (auto& one : order) names.push_back(std::move(one.second));
        std::string first = names.empty() ? std::string() : names.front();
        std::string input = std::move(first_input);
        return {{std::move(*this)}, std::move(name), std::move(first), std::move(names), std::move(input)};
    }
};

inline void sort_by_beginning(std::vector<session_summary>& sessions) {
    std::sort(sessions.begin(), sessions.end(), [](const session_summary& a, const session_summary& b) {
        return std::tie(a.first_seen, a.session) < std::tie(b.first_seen, b.session);
    });
}

} // namespace detail

/// What each session did, as far as its traces match the query; `find_sessions` in <mlflow/trace/client/sessions.hpp>
/// always includes whole sessions. Ordered by their start. Traces without a session are left out. Errors: those of
/// the search.
template <trace_source Source>
[[nodiscard]] summaries<session_summary> summarise_sessions(Source& source, const trace_query& query = {}) {
    auto groups = detail::group_traces<detail::session_group>(
        source, query, [](const trace_info& trace) { return trace.session(); });
    if (!groups) return failure{groups.error()};
    std::vector<session_summary> sessions;
    for (auto& [name, found] : *groups) sessions.push_back(std::move(found).summary(name));
    detail::sort_by_beginning(sessions);
    return sessions;
}

/// Groups traces by the value that `key_of(trace)` returns, for example that of a tag; ordered by value. The returned
/// `std::string_view` must be valid as long as the trace. Traces with an empty value are left out. Errors: those of
/// the search.
template <trace_source Source, class KeyOf>
    requires std::is_invocable_r_v<std::string_view, KeyOf&, const trace_info&>
[[nodiscard]] summaries<group_summary> summarise_by(Source& source, KeyOf key_of, const trace_query& query = {}) {
    struct group : activity {
        detail::name_set users;
        detail::name_set sessions;
        void add(const trace_info& trace) {
            activity::add(trace);
            detail::note(users, trace.user());
            detail::note(sessions, trace.session());
        }
    };
    auto groups = detail::group_traces<group>(source, query, std::move(key_of));
    if (!groups) return failure{groups.error()};
    std::vector<group_summary> values;
    for (auto& [name, found] : *groups)
        values.push_back({{static_cast<activity&&>(found)}, name, found.users.size(), found.sessions.size()});
    std::sort(values.begin(), values.end(),
              [](const group_summary& a, const group_summary& b) { return a.value < b.value; });
    return values;
}
/// Groups traces by the value of a metadata key, for example `app.segment`.
template <trace_source Source>
[[nodiscard]] summaries<group_summary> summarise_by(Source& source, std::string_view key,
                                                    const trace_query& query = {}) {
    return summarise_by(source, [key](const trace_info& trace) { return trace[key]; }, query);
}
/// Groups traces by the value of a typed key: `summarise_by<segment>(source)`.
template <metadata_key Key, trace_source Source>
[[nodiscard]] summaries<group_summary> summarise_by(Source& source, const trace_query& query = {}) {
    return summarise_by(source, Key::name, query);
}

/// One trace of a session.
struct session_turn {
    std::size_t number = 0; ///< starting from 1
    /// The trace.
    trace_info trace;
    /// The time from the end of the previous turn to the start of this one; negative if they overlap. Empty for the
    /// first turn, and if the end of the previous one is unknown.
    std::optional<std::chrono::milliseconds> gap;
};

/// The turns of a session, from the first to the last. A session that does not exist has none. Errors: those of the
/// search.
template <trace_source Source>
[[nodiscard]] result<std::vector<session_turn>> session_flow(Source& source, const session& whole,
                                                             trace_query query = {}) {
    query.where = std::move(query.where) && field::session == whole;
    auto traces = find_all(source, query);
    if (!traces) return failure{traces.error()};
    std::sort(traces->begin(), traces->end(), [](const trace_info& a, const trace_info& b) {
        return std::tie(a.request_time, a.trace_id) < std::tie(b.request_time, b.trace_id);
    });
    std::vector<session_turn> turns;
    for (trace_info& trace : *traces) {
        session_turn turn{turns.size() + 1, std::move(trace), std::nullopt};
        if (!turns.empty() && turns.back().trace.has_duration)
            turn.gap = turn.trace.request_time - turns.back().trace.end_time();
        turns.push_back(std::move(turn));
    }
    return turns;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
