// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/alternatives.hpp>
#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/trace_info.hpp>
#include <mlflow/trace/http/message.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A search, with the arguments of MLflow's own `search_traces`. Its `run_id` is `field::run_id`, its `model_id` is
/// `field::metadata("mlflow.modelId")`. `client::get` returns spans.
struct trace_query {
    /// Which traces.
    filter where{};
    std::vector<ordering> order_by{};          ///< empty: newest first on a server, file order in a file
    std::vector<std::string> experiment_ids{}; ///< empty: the experiment of the options
    /// The limit for the number of results.
    std::size_t max_results = std::numeric_limits<std::size_t>::max();
    std::size_t page_size = 500; ///< traces per request; MLflow's limit is 500
    std::string page_token{};    ///< where an earlier search stopped: `trace_pages::page_token()`
};

/// The number of visited traces, or the error that ended the search.
using search_result = result<std::size_t>;

/// A source of traces to search: a server (`client`) or a file (`trace_file`). `visit` is called for each trace, and
/// may return false to end the search. After an error, the visited traces are incomplete.
template <class T>
concept trace_source = requires(T& source, const trace_query& query, void (*visit)(const trace_info&)) {
    { source.for_each_trace(query, visit) } -> std::same_as<search_result>;
};

namespace detail {

template <class Visit>
bool wants_more(Visit& visit, const trace_info& trace) {
    if constexpr (std::is_same_v<std::invoke_result_t<Visit&, const trace_info&>, bool>) return visit(trace);
    else return visit(trace), true;
}

} // namespace detail

/// All traces that match, or an error; never an incomplete list.
template <trace_source Source>
[[nodiscard]] result<std::vector<trace_info>> find_all(Source& source, const trace_query& query) {
    std::vector<trace_info> found;
    const auto done = source.for_each_trace(query, [&](const trace_info& trace) { found.push_back(trace); });
    if (!done) return failure{done.error()};
    return found;
}

/// Visits each trace that matches at least one of the alternatives once: those of the first, then those of the second
/// that do not match the first, and so on. Error: a filter that only the server can decide (`filter::is_local`).
template <trace_source Source, class Visit>
[[nodiscard]] search_result for_each_trace(Source& source, const trace_query& query, const alternatives& any,
                                           Visit visit) {
    std::size_t visited = 0;
    std::vector<filter> before;
    for (const filter& one : any.filters()) {
        if (!one.is_local())
            return failure{error(error_kind::bad_request, "any_of",
                                 "these filters can only be evaluated by the server; run the searches separately")};
        trace_query alternative = query;
        alternative.where = query.where && one;
        alternative.max_results = std::numeric_limits<std::size_t>::max(); // those that are skipped do not count
        const auto done = source.for_each_trace(alternative, [&](const trace_info& trace) {
            if (std::none_of(before.begin(), before.end(), [&](const filter& f) { return f.matches(trace); })) {
                visit(trace);
                ++visited;
            }
            return visited < query.max_results;
        });
        if (!done) return failure{done.error()};
        if (visited >= query.max_results) break;
        before.push_back(one);
    }
    return visited;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
