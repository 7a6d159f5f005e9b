// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/amounts.hpp>
#include <mlflow/trace/client/trace_records.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

// Combines spans into a trace as MLflow's server does (3.17, log_spans of mlflow/store/tracking/sqlalchemy_store.py).
// Each line of the file counts as one request.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Sums amounts. If a span has an amount, its descendants are not counted. Like MLflow, it computes a new sum only for
// a line that has an amount, so that later spans without amounts do not change the sum; values missing in a new sum
// are kept from the previous one. Beyond `most` spans, only the last sum is computed, so that no order of lines is
// slow.
template <class Amounts>
class amounts_of_spans {
public:
    void add(const file_span& span, const Amounts& amounts) { late_.push_back({span.id, span.parent, amounts}); }
    void end_line() {
        const bool brings_amounts = has_amounts_of_its_own(std::exchange(line_begin_, late_.size()));
        if (!brings_amounts) return;
        counted_.insert(counted_.end(), std::make_move_iterator(late_.begin()), std::make_move_iterator(late_.end()));
        late_.clear();
        line_begin_ = 0;
        if (counted_.size() <= most) return take_sum();
        is_behind_ = true;
        if (counted_.size() >= 2 * unique_) unique_ = keep_last();
    }
    // After all lines.
    const Amounts& total() {
        if (std::exchange(is_behind_, false)) take_sum();
        return total_;
    }

private:
    static constexpr std::size_t most = 200;

    // Whether this line has an amount that counts. In a cycle of parents it does not.
    bool has_amounts_of_its_own(std::size_t begin) const {
        std::unordered_map<std::string_view, std::size_t> by_id;
        std::vector<bool> is_below_cycle;
        for (std::size_t at = begin; at < late_.size(); ++at) {
            if (!late_[at].amounts.there) continue;
            if (late_[at].parent.empty()) return true;
            if (by_id.empty()) {
                for (std::size_t i = begin; i < late_.size(); ++i) by_id.emplace(late_[i].id, i);
                is_below_cycle.resize(late_.size());
            }
            for (std::size_t next = at; !is_below_cycle[next];) {
                is_below_cycle[next] = true; // unless the way ends, and with it the search
                const auto above = late_[next].parent.empty() ? by_id.end() : by_id.find(late_[next].parent);
                if (above == by_id.end()) return true;
                next = above->second;
            }
        }
        return false;
    }

    void take_sum() {
        const std::optional<Amounts> sum = sum_of_counted();
        for (std::size_t i = 0; sum && i < std::size(sum->values); ++i)
            if (sum->has(i) && is_stored(sum->values[i])) total_.set(i, sum->values[i]);
    }
    // What MLflow's database columns can hold.
    static bool is_stored(long double tokens) noexcept {
        constexpr long double end = 9223372036854775808.0L; // 2^63
        return tokens >= -end && tokens < end && std::trunc(tokens) == tokens;
    }
    static bool is_stored(double cost) noexcept { return is_finite(cost); }

    // Returns nothing if no span has an amount.
    std::optional<Amounts> sum_of_counted() {
        keep_last();
        std::unordered_map<std::string_view, std::size_t> by_id;
        for (std::size_t at = 0; at < counted_.size(); ++at) by_id.emplace(counted_[at].id, at);
        enum : std::uint8_t { unknown, on_the_way, free, covered };
        std::vector<std::uint8_t> below(counted_.size(), unknown);
        std::vector<std::size_t> way; // only the first of these has amounts, so all get the same result
        std::optional<Amounts> total;
        for (std::size_t at = 0; at < counted_.size(); ++at) {
            way.clear();
            std::uint8_t found = unknown;
            for (std::size_t next = at; found == unknown;) {
                if (below[next] == on_the_way) found = covered; // a cycle, which has no root
                else if (below[next] != unknown) found = below[next];
                if (found != unknown) break;
                below[next] = on_the_way;
                way.push_back(next);
                const auto above = counted_[next].parent.empty() ? by_id.end() : by_id.find(counted_[next].parent);
                if (above == by_id.end()) found = free;
                else if (counted_[above->second].amounts.there) found = covered;
                else next = above->second;
            }
            for (const std::size_t one : way) below[one] = found;
        }
        for (std::size_t at = 0; at < counted_.size(); ++at) {
            const Amounts& amounts = counted_[at].amounts;
            if (!amounts.there || below[at] == covered) continue;
            if (!total) {
                total.emplace();
                for (std::size_t i = 0; i < 3; ++i) total->set(i, 0); // these are always present
            }
            for (std::size_t i = 0; i < std::size(amounts.values); ++i)
                if (amounts.has(i)) total->set(i, total->values[i] + amounts.values[i]);
        }
        return total;
    }

    struct node {
        std::string id;
        std::string parent;
        Amounts amounts;
    };

    // The last span with an ID counts.
    std::size_t keep_last() {
        std::unordered_map<std::string_view, std::size_t> last;
        for (std::size_t at = 0; at < counted_.size(); ++at) last[counted_[at].id] = at;
        if (last.size() == counted_.size()) return counted_.size();
        std::vector<node> kept;
        kept.reserve(last.size());
        for (std::size_t at = 0; at < counted_.size(); ++at)
            if (last[counted_[at].id] == at) kept.push_back(counted_[at]);
        counted_ = std::move(kept);
        return counted_.size();
    }

    std::vector<node> counted_;
    std::vector<node> late_;
    std::size_t unique_ = 0;
    Amounts total_;
    std::size_t line_begin_ = 0; // where the last line begins in late_
    bool is_behind_ = false;
};

class trace_in_file {
public:
    explicit trace_in_file(std::uint64_t place) : place_(place) { info_.status = trace_status::in_progress; }

    // The position among the traces of the file.
    [[nodiscard]] std::uint64_t place() const noexcept { return place_; }

    void add(std::uint64_t line, file_span span) {
        if (line != line_) end_line();
        line_ = line;
        // A span that is repeated in the same line replaces the earlier one.
        if (waiting_.size() < 1000)
            for (file_span& before : waiting_)
                if (before.id == span.id) {
                    before = std::move(span);
                    return;
                }
        waiting_.push_back(std::move(span));
    }

    trace_info finish(std::string_view trace_id) {
        end_line();
        info_.trace_id = shown_trace_id(trace_id);
        info_.request_time = trace_time(std::chrono::milliseconds(start_.value_or(0)));
        info_.has_duration = start_ && end_ && *end_ >= *start_;
        info_.execution_duration = std::chrono::milliseconds(info_.has_duration ? *end_ - *start_ : 0);
        put_usage(usage_.total());
        put_cost(cost_.total());
        return std::move(info_);
    }

private:
    void end_line() {
        const file_span* first_root = nullptr;
        const file_span* last_root = nullptr;
        const std::string* user = nullptr;
        const std::string* session = nullptr;
        const text_list* resource = nullptr;
        for (const file_span& span : waiting_) {
            if (span.start && (!start_ || *span.start < *start_)) start_ = span.start;
            if (span.end && (!end_ || *span.end > *end_)) end_ = span.end;
            usage_.add(span, span.usage);
            cost_.add(span, span.cost);
            if (!user && span.user) user = &*span.user;
            if (!session && span.session) session = &*span.session;
            if (!resource && span.has_resource) resource = &span.resource;
            if (span.has_preview_of_its_own) take_previews(span);
            for (const auto& [key, value] : span.metadata) info_.metadata.emplace(key, value);
            if (info_.client_request_id.empty()) info_.client_request_id = span.client_request_id;
            if (!span.is_root()) continue;
            if (!first_root) first_root = &span;
            last_root = &span;
        }
        usage_.end_line();
        cost_.end_line();
        if (user && !user->empty()) info_.metadata.emplace(user::name, *user);
        if (session && !session->empty()) info_.metadata.emplace(session::name, *session);
        if (first_root && info_.status == trace_status::in_progress)
            info_.status = first_root->is_error ? trace_status::error : trace_status::ok;
        if (last_root) take_previews(*last_root);
        if (resource)
            for (const auto& [key, value] : *resource) info_.tags[key] = value;
        for (const file_span& span : waiting_)
            for (const auto& [key, value] : span.tags) info_.tags[key] = value;
        waiting_.clear();
    }
    void take_previews(const file_span& span) {
        if (info_.request_preview.empty()) info_.request_preview = span.inputs;
        if (info_.response_preview.empty()) info_.response_preview = span.outputs;
    }

    // In MLflow's format.
    void put_usage(const token_amounts& sum) {
        std::string text;
        for (std::size_t i = 0; i < std::size(token_names); ++i)
            if (sum.has(i)) put(text, token_names[i], std::to_string(static_cast<std::int64_t>(sum.values[i])));
        if (!text.empty()) info_.metadata.insert_or_assign(std::string(mlflow_names::trace_token_usage), text + '}');
    }
    void put_cost(const cost_amounts& sum) {
        std::string text;
        for (std::size_t i = 0; i < std::size(cost_names); ++i) {
            if (!sum.has(i)) continue;
            std::string number;
            append_python_float(number, sum.values[i]);
            put(text, cost_names[i], number);
        }
        if (!text.empty()) info_.metadata.insert_or_assign(std::string(mlflow_names::trace_cost), text + '}');
    }
    static void put(std::string& object, std::string_view name, const std::string& number) {
        object += object.empty() ? "{\"" : ", \"";
        object += std::string(name) + "\": " + number;
    }

    std::uint64_t place_;
    std::uint64_t line_ = 0;
    std::vector<file_span> waiting_; // of the current line
    std::optional<std::int64_t> start_;
    std::optional<std::int64_t> end_;
    amounts_of_spans<token_amounts> usage_;
    amounts_of_spans<cost_amounts> cost_;
    trace_info info_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
