// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/client.hpp>
#include <mlflow/trace/client/user_remains.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

inline constexpr std::size_t experiments_at_once = 100; // in a search

// A LIKE pattern that matches the stored form of every span that contains the ID, however the ID is escaped there.
inline std::string pattern_of(std::string_view id) {
    std::string wide = "%";
    for (const char c : id) {
        const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              std::string_view(" -.:@+").find(c) != std::string_view::npos;
        if (is_plain || wide.back() != '%') wide += is_plain ? c : '%';
    }
    return wide.back() == '%' ? wide : wide + '%';
}

// Whether the server finds traces by the text of their spans faster than it sends them. Some databases, such as
// PostgreSQL, read all spans once for a search; others read all spans once for each trace.
template <class Transport>
bool searches_sooner(client<Transport>& server, const filter& like, const std::vector<std::string>& experiments,
                     std::span<const std::string> some) {
    using steady = std::chrono::steady_clock;
    const auto search = [&](std::size_t count) -> std::optional<steady::duration> {
        const auto ids = some.first(std::min(count, some.size()));
        const filter among(clause{subject::trace_id, {}, comparison::in, {ids.begin(), ids.end()}});
        const auto begin = steady::now();
        const auto done = server.for_each_trace(
            {.where = like && among, .experiment_ids = experiments, .max_results = count}, [](const trace_info&) {});
        if (!done) return std::nullopt;
        return steady::now() - begin;
    };
    const auto begin = steady::now();
    if (some.empty() || !server.get_all(some)) return false;
    const auto reading = steady::now() - begin;
    const auto one = search(1);
    if (!one || *one > reading) return false;
    const auto all = search(some.size());
    return all && *all < reading / 2;
}

// Returns those of the traces whose spans may contain the ID, or all traces where the search would take longer.
template <class Transport, class Seen>
std::vector<std::string> in_spans(client<Transport>& server, std::string_view id, std::vector<std::string> all,
                                  const std::vector<std::string>& experiments, Seen& seen) {
    constexpr std::size_t few = 500;
    const std::string wide = pattern_of(id);
    const filter like = field::text.like(wide);
    if (all.size() < few || wide == "%" ||
        !searches_sooner(server, like, experiments, std::span(all).subspan(all.size() / 2, 50)))
        return all;
    user_remains::progress at{"experiments searched", 0, experiments.size()};
    std::vector<std::string> found;
    const std::set<std::string_view> meant(all.begin(), all.end());
    for (auto some = std::span(experiments); !some.empty();
         some = some.subspan(std::min(experiments_at_once, some.size()))) {
        const auto part = some.first(std::min(experiments_at_once, some.size()));
        seen(std::as_const(at));
        const auto done = server.for_each_trace({.where = like, .experiment_ids = {part.begin(), part.end()}},
                                                [&](const trace_info& trace) {
                                                    if (meant.contains(trace.trace_id))
                                                        found.push_back(trace.trace_id);
                                                });
        if (!done) return all; // an older server; other errors appear when the spans are read
        at.done += part.size();
    }
    return found;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
