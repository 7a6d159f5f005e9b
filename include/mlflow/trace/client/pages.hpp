// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/rest.hpp>
#include <mlflow/trace/client/search.hpp>
#include <mlflow/trace/client/trace_json.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

namespace detail {

// Brent's cycle finding: a token that comes back is noticed, however long the loop, and one token is remembered.
class page_tokens {
public:
    [[nodiscard]] bool is_loop(const std::string& token) {
        if (token == remembered_) return true;
        if (++steps_ == limit_) {
            remembered_ = token;
            limit_ *= 2;
        }
        return false;
    }

private:
    std::string remembered_;
    std::size_t steps_ = 0;
    std::size_t limit_ = 1;
};

} // namespace detail

/// A search under way: pages of at most 500 traces, each fetched when it is asked for, so that memory does not grow
/// with what is found. Lives as long as its client. Thread-safety: with its client, one thread at a time.
template <class Transport>
class trace_pages {
public:
    trace_pages(detail::rest<Transport>& server, trace_query query)
        : server_(&server), query_(std::move(query)), token_(query_.page_token), is_exact_(query_.where.is_exact()) {}

    /// Was the last page fetched?
    [[nodiscard]] bool done() const noexcept { return done_; }
    /// Where a later search goes on: `trace_query::page_token`. Empty when done.
    [[nodiscard]] const std::string& page_token() const noexcept { return token_; }

    /// The next page, which may be empty. After an error there are no more pages, and those before it are not the
    /// whole: no reply, a reply that is malformed, a page token that comes back.
    [[nodiscard]] result<std::vector<trace_info>, transport_error> next() {
        std::vector<trace_info> page;
        if (done_) return page;
        done_ = true; // unless all goes well
        auto body = request();
        if (!body) return failure{body.error()};
        const auto told = server_->call(http_method::post, target, *body);
        if (!told) return failure{told.error()};
        const auto& traces = detail::member(*told, "traces");
        if (!traces.is_array() && !traces.is_null()) return malformed("traces that are no list");
        for (const auto& one : traces) {
            auto read = detail::read_trace_info(one);
            if (!read) return malformed("a trace without its ID or times");
            if ((is_exact_ || query_.where.matches(*read)) && found_ < query_.max_results) {
                ++found_;
                page.push_back(std::move(*read));
            }
        }
        const auto& token = detail::member(*told, "next_page_token");
        if (!token.is_string() && !token.is_null()) return malformed("a page token that is no text");
        token_ = detail::text_of(*told, "next_page_token");
        if (!token_.empty() && seen_.is_loop(token_))
            return malformed("a page token that it gave before, so that the search would not end");
        done_ = token_.empty() || found_ >= query_.max_results;
        return page;
    }

private:
    static constexpr const char* target = "/api/3.0/mlflow/traces/search";

    [[nodiscard]] auto malformed(std::string_view what) const {
        return detail::malformed(server_->uri(), target, what);
    }

    [[nodiscard]] detail::json_result request() const {
        const auto filter = query_.where.text();
        if (!filter) return failure{filter.error()};
        detail::json locations = detail::json::array();
        for (const std::string& id : query_.experiment_ids)
            locations.push_back({{"type", "MLFLOW_EXPERIMENT"}, {"mlflow_experiment", {{"experiment_id", id}}}});
        std::size_t size = std::clamp<std::size_t>(query_.page_size, 1, 500);
        if (is_exact_) size = std::min(size, query_.max_results - found_);
        detail::json body{{"locations", std::move(locations)}, {"max_results", std::max<std::size_t>(size, 1)}};
        if (!filter->empty()) body["filter"] = *filter;
        for (const ordering& by : query_.order_by) body["order_by"].push_back(by.text());
        if (!token_.empty()) body["page_token"] = token_;
        return body;
    }

    detail::rest<Transport>* server_;
    trace_query query_;
    std::string token_;
    detail::page_tokens seen_;
    std::size_t found_ = 0;
    bool is_exact_;
    bool done_ = false;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
