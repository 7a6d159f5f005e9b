// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/page_stream.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Splits a search ordered by time into several. The page tokens of one search form a chain, so its pages can only be
// requested one after another, but the traces between two times are a separate search. The length of a slice is
// estimated from earlier slices, so that it contains about one page. At most one page of each slice is in memory;
// slices are read in order.
template <class Transport>
class time_slices {
public:
    time_slices(std::shared_ptr<connection_pool<Transport>> server, trace_query query, std::size_t width)
        : server_(std::move(server)), query_(std::move(query)), width_(width),
          descends_(query_.order_by.empty() || query_.order_by.front().is_descending) {}

    [[nodiscard]] static bool can_slice(const trace_query& query) {
        return query.page_token.empty() && query.max_results > query.page_size &&
               (query.order_by.empty() || query.order_by.front().by == subject::timestamp);
    }

    [[nodiscard]] bool done() const noexcept { return done_; }

    [[nodiscard]] result<std::vector<trace_info>> next() {
        if (done_) return std::vector<trace_info>{};
        done_ = true; // reset after success
        auto page = step_ == milliseconds::zero() ? first_page() : next_page();
        if (page) done_ = is_planned_ && slices_.empty();
        return page;
    }

private:
    using milliseconds = std::chrono::milliseconds;
    using traces = result<std::vector<trace_info>>;
    struct slice {
        page_stream<Transport> pages;
        milliseconds length;
        std::size_t received = 0;
    };

    // The first slice begins at the time at which the first page ends; it includes all traces of that time.
    traces first_page() {
        trace_query whole = query_;
        page_reader<Transport> reader(server_->take(), whole);
        auto page = reader.read();
        if (!page) return failure{page.error()};
        step_ = std::max(milliseconds(1), std::chrono::abs(page->last - page->first) * fill / 100);
        if (page->is_last || page->first == page->last) { // nothing to split
            is_planned_ = true;
            if (!page->is_last) slices_.push_back({page_stream<Transport>(std::move(reader), true), step_});
        } else {
            edge_ = page->last;
            std::erase_if(page->traces, [&](const trace_info& one) { return one.request_time == edge_; });
            find_end();
        }
        return std::move(page->traces);
    }

    traces next_page() {
        if (end_) {
            auto last = end_->get();
            end_.reset();
            if (!last) return failure{last.error()};
            last_ = last->received == 0 ? edge_ : last->first;
            plan();
        }
        slice& first = slices_.front();
        auto page = first.pages.next();
        if (!page) return failure{page.error()};
        first.received += page->received;
        if (first.pages.done()) {
            adapt(first);
            slices_.pop_front();
        }
        plan();
        return std::move(page->traces);
    }

    void find_end() {
        trace_query last = query_;
        last.order_by = {{subject::timestamp, !descends_}};
        last.page_size = 1;
        end_.emplace([reader = std::make_shared<page_reader<Transport>>(server_->take(), std::move(last))] {
            return reader->read();
        });
    }

    void adapt(const slice& read) {
        const auto target = static_cast<double>(page_size()) * fill / 100;
        const double factor = std::clamp(target / static_cast<double>(std::max<std::size_t>(read.received, 1)),
                                         1.0 / most, static_cast<double>(most));
        step_ = milliseconds(
            std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(read.length.count()) * factor)));
    }

    void plan() {
        while (slices_.size() < width_ && !is_planned_) {
            // The last slice has no end, because there may be new traces.
            is_planned_ = step_ >= std::chrono::abs(last_ - edge_);
            const trace_time to = is_planned_ ? last_ : descends_ ? edge_ - step_ : edge_ + step_;
            trace_query part = query_;
            part.max_results = std::numeric_limits<std::size_t>::max();
            part.where = std::move(part.where) && (descends_ ? field::timestamp <= edge_ : field::timestamp >= edge_);
            if (!is_planned_)
                part.where = std::move(part.where) && (descends_ ? field::timestamp > to : field::timestamp < to);
            edge_ = to;
            page_reader<Transport> reader(server_->take(), std::move(part));
            slices_.push_back({page_stream<Transport>(std::move(reader), true), step_});
            slices_.back().pages.begin();
        }
    }

    [[nodiscard]] std::size_t page_size() const { return std::clamp<std::size_t>(query_.page_size, 1, 500); }

    static constexpr int fill = 80; // percent of a page: a second page for a few traces would need a whole request
    static constexpr int most = 8;  // factor by which a slice may become longer or shorter than the previous one

    std::shared_ptr<connection_pool<Transport>> server_;
    trace_query query_;
    std::size_t width_;
    bool descends_;
    bool done_ = false;
    bool is_planned_ = false;
    milliseconds step_{0};
    trace_time edge_{}; // the start of the next slice
    trace_time last_{}; // time of the last trace of all
    std::optional<background<page_result>> end_;
    std::deque<slice> slices_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
