// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/client/trace_info.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Durations in milliseconds, with exact percentiles. Equal durations are stored once with their count: memory grows
/// with the number of different durations.
///
/// Thread-safety: none. The const functions sort lazily, so they must not run on several threads at once either.
class duration_statistics {
public:
    /// Adds a duration.
    void add(std::chrono::milliseconds duration) {
        ++count_;
        sum_ = detail::added(sum_, duration.count());
        recent_.push_back(duration.count());
        if (recent_.size() >= 64 + counted_.size() / 4) merge();
    }

    /// Adds all durations of `others`.
    void add(const duration_statistics& others) {
        others.merge();
        merge();
        std::vector<counted> merged;
        merged.reserve(counted_.size() + others.counted_.size());
        std::merge(counted_.begin(), counted_.end(), others.counted_.begin(), others.counted_.end(),
                   std::back_inserter(merged));
        counted_.clear();
        for (const counted& next : merged) {
            if (!counted_.empty() && counted_.back().first == next.first) counted_.back().second += next.second;
            else counted_.push_back(next);
        }
        count_ += others.count_;
        sum_ = detail::added(sum_, others.sum_);
    }
    /// The remaining durations without those of `part`, all of which must be included here.
    [[nodiscard]] duration_statistics without(const duration_statistics& part) const {
        merge();
        part.merge();
        duration_statistics rest = *this;
        auto taken = part.counted_.begin();
        for (auto& [value, times] : rest.counted_) {
            while (taken != part.counted_.end() && taken->first < value) ++taken;
            if (taken != part.counted_.end() && taken->first == value) times -= std::min(times, taken->second);
        }
        std::erase_if(rest.counted_, [](const counted& one) { return one.second == 0; });
        rest.count_ -= std::min(rest.count_, part.count_);
        rest.sum_ -= part.sum_;
        return rest;
    }

    /// The number of durations.
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    /// The mean in milliseconds; 0 without durations.
    [[nodiscard]] double mean() const noexcept {
        return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
    }
    /// A percentile in milliseconds; 0 without durations. `percent` is 0 to 100. Interpolates linearly between two
    /// durations, like the default of NumPy's `percentile` and pandas' `quantile`.
    [[nodiscard]] double percentile(double percent) const {
        if (count_ == 0) return 0;
        merge();
        const double place = static_cast<double>(count_ - 1) * std::clamp(percent, 0.0, 100.0) / 100;
        const auto below = static_cast<std::size_t>(std::floor(place));
        const double a = static_cast<double>(ranked(below));
        const double b = static_cast<double>(ranked(std::min(below + 1, count_ - 1)));
        return a + (b - a) * (place - static_cast<double>(below));
    }
    /// The duration at this rank, from the shortest at 0 to the longest at `count() - 1`; 0 without durations.
    [[nodiscard]] std::chrono::milliseconds at(std::size_t rank) const {
        if (count_ == 0) return {};
        merge();
        return std::chrono::milliseconds(ranked(std::min(rank, count_ - 1)));
    }
    /// The number of durations that are at most this long.
    [[nodiscard]] std::size_t count_up_to(std::chrono::milliseconds most) const {
        merge();
        std::size_t count = 0;
        for (const auto& [value, times] : counted_) count += value <= most.count() ? times : 0;
        return count;
    }

private:
    using counted = std::pair<std::int64_t, std::size_t>;

    void merge() const {
        std::sort(recent_.begin(), recent_.end());
        std::vector<counted> merged;
        merged.reserve(counted_.size() + recent_.size());
        auto old = counted_.begin();
        const auto take = [&](const counted& next) {
            if (!merged.empty() && merged.back().first == next.first) merged.back().second += next.second;
            else merged.push_back(next);
        };
        for (const std::int64_t value : recent_) {
            for (; old != counted_.end() && old->first <= value; ++old) take(*old);
            take({value, 1});
        }
        std::for_each(old, counted_.end(), take);
        counted_ = std::move(merged);
        recent_.clear();
    }
    [[nodiscard]] std::int64_t ranked(std::size_t rank) const noexcept {
        for (const auto& [value, times] : counted_) {
            if (rank < times) return value;
            rank -= times;
        }
        return counted_.back().first;
    }

    mutable std::vector<counted> counted_; // sorted; together with `recent_`, holds all durations
    mutable std::vector<std::int64_t> recent_;
    std::size_t count_ = 0;
    std::int64_t sum_ = 0;
};

/// Statistics of the feedback with one name. Scores are numbers, true (1) and false (0).
struct feedback_statistics {
    /// All feedback, also without a score.
    std::size_t count = 0;
    std::size_t scored = 0; ///< feedback with a score
    std::size_t binary = 0; ///< scores that are 0 or 1; if all are, the mean is a rate
    /// The sum of the scores.
    double sum = 0;
    /// The sum of their squares.
    double sum_of_squares = 0;

    /// The mean of the scores; 0 without scores.
    [[nodiscard]] double mean() const noexcept { return scored == 0 ? 0 : sum / static_cast<double>(scored); }
};

/// What a user, a session or another group of traces did. Everything is 0 without traces.
struct activity {
    /// The number of traces.
    std::size_t interactions = 0;
    trace_time first_seen{}; ///< start of the first trace
    trace_time last_seen{};  ///< start of the last trace
    trace_time last_end{};   ///< the latest end of a trace; for a trace without an end, its start
    /// The durations of the traces.
    duration_statistics durations;
    /// The number of traces that failed.
    std::size_t errors = 0;
    trace_time last_error{};   ///< start of the last trace that failed
    std::string last_error_id; ///< the ID of that trace; empty if none failed
    /// Input tokens.
    std::int64_t input_tokens = 0;
    /// Output tokens.
    std::int64_t output_tokens = 0;
    double cost = 0; ///< in US dollars, as computed by MLflow
    /// Feedback, by name.
    std::map<std::string, feedback_statistics, std::less<>> feedback;

    /// The share of traces that failed, 0 to 1; 0 without traces.
    [[nodiscard]] double error_rate() const noexcept {
        return interactions == 0 ? 0 : static_cast<double>(errors) / static_cast<double>(interactions);
    }

    /// Adds a trace. Feedback that was overridden does not count.
    void add(const trace_info& trace) {
        first_seen = interactions == 0 ? trace.request_time : std::min(first_seen, trace.request_time);
        last_seen = interactions == 0 ? trace.request_time : std::max(last_seen, trace.request_time);
        last_end = interactions == 0 ? trace.end_time() : std::max(last_end, trace.end_time());
        ++interactions;
        if (trace.has_duration) durations.add(trace.execution_duration);
        if (trace.status == trace_status::error) add_error(trace);
        if (const auto usage = detail::parse_json(trace[detail::mlflow_names::trace_token_usage])) {
            input_tokens = detail::added(input_tokens, detail::integer_of(*usage, "input_tokens"));
            output_tokens = detail::added(output_tokens, detail::integer_of(*usage, "output_tokens"));
        }
        if (const auto spent = detail::parse_json(trace[detail::mlflow_names::trace_cost]))
            cost += detail::number_of(*spent, "total_cost");
        for (const assessment& one : trace.assessments)
            if (one.what == assessment::kind::feedback && one.valid) add(one);
    }

private:
    void add_error(const trace_info& trace) {
        if (errors++ != 0 && std::tie(trace.request_time, trace.trace_id) < std::tie(last_error, last_error_id))
            return;
        last_error = trace.request_time;
        last_error_id = trace.trace_id;
    }
    void add(const assessment& one) {
        auto& statistics = feedback[one.name];
        ++statistics.count;
        const auto value = detail::parse_json(one.value);
        if (!value || (!value->is_number() && !value->is_boolean())) return;
        const double score = value->is_boolean() ? (value->get<bool>() ? 1 : 0) : value->get<double>();
        ++statistics.scored;
        statistics.binary += score == 0 || score == 1 ? 1U : 0U;
        statistics.sum += score;
        statistics.sum_of_squares += score * score;
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
