// SPDX-License-Identifier: Apache-2.0
#pragma once

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

/// What is searched for: the arguments of MLflow's own `search_traces`. Its `run_id` is `field::run_id`, its
/// `model_id` is `field::metadata("mlflow.modelId")`; spans come from `client::get`.
struct trace_query {
    filter where{};
    std::vector<ordering> order_by{}; ///< none: the newest first on a server, the order of the file in a file
    std::vector<std::string> experiment_ids{}; ///< none: the experiment of the options
    std::size_t max_results = std::numeric_limits<std::size_t>::max();
    std::size_t page_size = 500; ///< traces per request; 500 is the most that MLflow takes
    std::string page_token{};    ///< where an earlier search stopped: `trace_pages::page_token()`
};

/// What a search gives: how many traces were visited, or why not all of them.
using search_result = result<std::size_t>;

/// Where traces are searched: a server (`client`) or a file (`trace_file`). `visit` is called with one trace after
/// the other, and may return false to end the search; an error says that what was visited is not the whole.
template <class T>
concept trace_source = requires(T& source, const trace_query& query, void (*visit)(const trace_info&)) {
    { source.for_each_trace(query, visit) } -> std::same_as<search_result>;
};

/// Alternatives, which MLflow's grammar cannot say: `any_of(a, b)` runs one search for each.
class alternatives {
public:
    explicit alternatives(std::vector<filter> filters) : filters_(std::move(filters)) {}
    [[nodiscard]] const std::vector<filter>& filters() const noexcept { return filters_; }

private:
    std::vector<filter> filters_;
};
template <class... Filters>
    requires(std::is_same_v<Filters, filter> && ...)
[[nodiscard]] alternatives any_of(const Filters&... filters) {
    return alternatives({filters...});
}

namespace detail {

template <class Visit>
bool wants_more(Visit& visit, const trace_info& trace) {
    if constexpr (std::is_same_v<std::invoke_result_t<Visit&, const trace_info&>, bool>) return visit(trace);
    else return visit(trace), true;
}

} // namespace detail

/// All traces at once, or an error: never a part of them.
template <trace_source Source>
[[nodiscard]] result<std::vector<trace_info>> find_all(Source& source, const trace_query& query) {
    std::vector<trace_info> found;
    const auto done = source.for_each_trace(query, [&](const trace_info& trace) { found.push_back(trace); });
    if (!done) return failure{done.error()};
    return found;
}

/// Visits each trace that one of the alternatives means, once: those of the first, then those of the second that are
/// not of the first, and so on. Only filters that can be decided here (`filter::is_local`).
template <trace_source Source, class Visit>
[[nodiscard]] search_result for_each_trace(Source& source, trace_query query, const alternatives& any, Visit visit) {
    std::size_t visited = 0;
    std::vector<filter> before;
    for (const filter& one : any.filters()) {
        if (!one.is_local())
            return failure{error(error_kind::bad_request, "any_of",
                                 "only the server can tell what these filters mean; run the "
                                 "searches one by one")};
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
