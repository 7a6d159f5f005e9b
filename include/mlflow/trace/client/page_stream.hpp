// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/background.hpp>
#include <mlflow/trace/client/rest.hpp>
#include <mlflow/trace/client/search.hpp>
#include <mlflow/trace/client/trace_json.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Brent's cycle detection: finds a repeated token in a loop of any length, and stores only one token.
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

struct trace_page {
    std::vector<trace_info> traces; // those that match the query
    std::string token;              // of the next page
    bool is_last = true;
    // What the server sent, which may include traces that do not match.
    std::size_t received = 0;
    trace_time first{};
    trace_time last{};
};
using page_result = result<trace_page>;

// Reads the pages of a search, one request for each.
template <class Transport>
class page_reader {
public:
    page_reader(connection<Transport> server, trace_query query)
        : server_(std::move(server)), query_(std::move(query)), token_(query_.page_token),
          is_exact_(query_.where.is_exact()) {}

    [[nodiscard]] page_result read() {
        auto body = request();
        if (!body) return failure{body.error()};
        const auto told = server_->call(http_method::post, target, *body);
        if (!told) return failure{told.error()};
        const auto& traces = member(*told, "traces");
        if (!traces.is_array() && !traces.is_null()) return wrong("traces that are not a list");
        trace_page page;
        std::vector<std::string> ids;
        for (const auto& one : traces) {
            auto read = read_trace_info(one);
            if (!read) return wrong("a trace without its ID or times");
            if (page.received++ == 0) page.first = read->request_time;
            page.last = read->request_time;
            ids.push_back(read->trace_id);
            // MLflow's tokens are offsets: a new trace at the front moves others to the next page.
            if (std::binary_search(before_.begin(), before_.end(), read->trace_id)) continue;
            if ((is_exact_ || query_.where.matches(*read)) && found_ < query_.max_results) {
                ++found_;
                page.traces.push_back(std::move(*read));
            }
        }
        std::sort(ids.begin(), ids.end());
        before_ = std::move(ids);
        const auto& token = member(*told, "next_page_token");
        if (!token.is_string() && !token.is_null()) return wrong("a page token that is not a string");
        token_ = page.token = text_of(*told, "next_page_token");
        if (!token_.empty() && seen_.is_loop(token_))
            return wrong("a page token that it had returned before, so the search would never end");
        page.is_last = token_.empty() || found_ >= query_.max_results;
        return page;
    }

private:
    static constexpr const char* target = "/api/3.0/mlflow/traces/search";

    [[nodiscard]] auto wrong(std::string_view what) const { return malformed(server_->uri(), target, what); }

    [[nodiscard]] json_result request() const {
        const auto filter = query_.where.text();
        if (!filter) return failure{filter.error()};
        json locations = json::array();
        for (const std::string& id : query_.experiment_ids)
            locations.push_back({{"type", "MLFLOW_EXPERIMENT"}, {"mlflow_experiment", {{"experiment_id", id}}}});
        std::size_t size = std::clamp<std::size_t>(query_.page_size, 1, 500);
        if (is_exact_) size = std::min(size, query_.max_results - found_);
        json body{{"locations", std::move(locations)}, {"max_results", std::max<std::size_t>(size, 1)}};
        if (!filter->empty()) body["filter"] = *filter;
        for (const ordering& by : query_.order_by) body["order_by"].push_back(by.text());
        if (!token_.empty()) body["page_token"] = token_;
        return body;
    }

    connection<Transport> server_;
    trace_query query_;
    std::string token_;
    page_tokens seen_;
    std::vector<std::string> before_; // the IDs of the previous page, sorted
    std::size_t found_ = 0;
    bool is_exact_;
};

// A page_reader that can request the next page while the caller uses the current one.
template <class Transport>
class page_stream {
public:
    explicit page_stream(page_reader<Transport> reader, bool reads_ahead)
        : work_(std::make_unique<work>(std::move(reader))), reads_ahead_(reads_ahead) {}

    [[nodiscard]] bool done() const noexcept { return done_; }
    void begin() {
        work_->ahead.emplace([reader = &work_->reader] { return reader->read(); });
    }

    [[nodiscard]] page_result next() {
        if (done_) return trace_page{};
        done_ = true; // reset after success
        auto page = take();
        if (!page) return page;
        done_ = page->is_last;
        if (reads_ahead_ && !done_) begin();
        return page;
    }

private:
    struct work { // at a fixed address, because threads use it when the stream is moved
        explicit work(page_reader<Transport> pages) : reader(std::move(pages)) {}
        page_reader<Transport> reader;
        std::optional<background<page_result>> ahead;
    };

    page_result take() {
        if (!work_->ahead) return work_->reader.read();
        auto page = work_->ahead->get();
        work_->ahead.reset();
        return page;
    }

    std::unique_ptr<work> work_;
    bool reads_ahead_;
    bool done_ = false;
};

template <class Pages, class Visit>
search_result visit_all(Pages pages, std::size_t most, Visit& visit) {
    std::size_t visited = 0;
    while (!pages.done() && visited < most) {
        const auto page = pages.next();
        if (!page) return failure{page.error()};
        for (const trace_info& trace : *page)
            if (++visited; !wants_more(visit, trace) || visited == most) return visited;
    }
    return visited;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
