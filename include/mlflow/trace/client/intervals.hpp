// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/statistics.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Where a figure of all traffic lies, as far as the traces at hand tell: intervals of 95 % confidence. All take the
/// traces as independent of each other; a few users with many traces each make the true interval wider.
struct confidence_interval {
    double low = 0;
    double high = 0;

    [[nodiscard]] bool contains(double value) const noexcept { return low <= value && value <= high; }
    /// Do the two share no value?
    [[nodiscard]] bool is_apart_from(const confidence_interval& other) const noexcept {
        return high < other.low || other.high < low;
    }
};

namespace detail {

inline constexpr double normal_quantile_975 = 1.959963984540054;

// Student's t, the quantile 0.975: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5; below 3 degrees
// of freedom in closed form.
inline double student_quantile_975(std::size_t degrees) noexcept {
    if (degrees == 1) return 12.706204736432095;
    if (degrees == 2) return 4.302652729911275;
    const double x = normal_quantile_975;
    const double n = static_cast<double>(degrees);
    const double x2 = x * x;
    return x + x * (x2 + 1) / (4 * n) + x * ((5 * x2 + 16) * x2 + 3) / (96 * n * n) +
           x * (((3 * x2 + 19) * x2 + 17) * x2 - 15) / (384 * n * n * n) +
           x * ((((79 * x2 + 776) * x2 + 1482) * x2 - 1920) * x2 - 945) / (92160 * n * n * n * n);
}

} // namespace detail

/// Of a rate: `hits` of `count`. Wilson's score interval (E. B. Wilson, Probable inference, the law of succession,
/// and statistical inference, 1927), which is good for small numbers and for rates near 0 and 1. Of nothing: 0 to 1.
[[nodiscard]] inline confidence_interval wilson_interval(std::size_t hits, std::size_t count) noexcept {
    if (count == 0) return {0, 1};
    constexpr double z2 = detail::normal_quantile_975 * detail::normal_quantile_975;
    const double n = static_cast<double>(count);
    const double rate = static_cast<double>(std::min(hits, count)) / n;
    const double middle = (rate + z2 / (2 * n)) / (1 + z2 / n);
    const double half =
        detail::normal_quantile_975 * std::sqrt(rate * (1 - rate) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    return {hits == 0 ? 0 : std::max(0.0, middle - half), hits >= count ? 1 : std::min(1.0, middle + half)};
}

/// Of the difference between two rates, the first less the second, from Wilson's intervals (R. G. Newcombe, Interval
/// estimation for the difference between independent proportions, 1998, method 10). Where 0 is outside, they differ.
[[nodiscard]] inline confidence_interval
newcombe_interval(std::size_t hits, std::size_t count, std::size_t hits_before, std::size_t count_before) noexcept {
    if (count == 0 || count_before == 0) return {-1, 1};
    const double a = static_cast<double>(hits) / static_cast<double>(count);
    const double b = static_cast<double>(hits_before) / static_cast<double>(count_before);
    const auto of_a = wilson_interval(hits, count);
    const auto of_b = wilson_interval(hits_before, count_before);
    return {a - b - std::hypot(a - of_a.low, of_b.high - b), a - b + std::hypot(of_a.high - a, b - of_b.low)};
}

/// Of a percentile, in milliseconds: two of the durations themselves, whatever their distribution (order statistics:
/// H. A. David and H. N. Nagaraja, Order Statistics, 2003, 7.1). How many durations are below the percentile is
/// binomial; the ranks are the fewest that hold 95 % of that. None where there are too few durations for an end of
/// it: the 95th percentile needs 59, the median 6.
[[nodiscard]] inline std::optional<confidence_interval> percentile_interval(const duration_statistics& durations,
                                                                            double percent) {
    const std::size_t count = durations.count();
    const double p = std::clamp(percent, 0.0, 100.0) / 100;
    if (count == 0 || p == 0 || p == 1) return std::nullopt;
    // The chances of k durations below it, as multiples of the largest, from there to where they vanish.
    const double n = static_cast<double>(count);
    const double mode = std::min(std::floor((n + 1) * p), n);
    const auto ratio = [&](double k) { return (n - k) / (k + 1) * p / (1 - p); }; // of k + 1 to k
    double all = 1;
    for (double k = mode, weight = 1; k < n && (weight *= ratio(k)) > 1e-18; ++k) all += weight;
    for (double k = mode, weight = 1; k > 0 && (weight /= ratio(k - 1)) > 1e-18; --k) all += weight;
    // With k below, it is between the k-th and the one after it; with 0 or all of them below, one end is not known.
    if (mode < 1 || mode > n - 1) return std::nullopt;
    double first = mode;
    double last = mode;
    double covered = 1;
    double below = first > 1 ? 1 / ratio(first - 1) : 0;
    double above = last < n - 1 ? ratio(last) : 0;
    while (covered < 0.95 * all) {
        if (below <= 0 && above <= 0) return std::nullopt;
        if (above >= below) {
            covered += above;
            ++last;
            above = last < n - 1 ? above * ratio(last) : 0;
        } else {
            covered += below;
            --first;
            below = first > 1 ? below / ratio(first - 1) : 0;
        }
    }
    const auto at = [&](double rank) {
        return static_cast<double>(durations.at(static_cast<std::size_t>(rank)).count());
    };
    return confidence_interval{at(first - 1), at(last)}; // ranks from 0
}

/// Of the mean of feedback. Where all scores are 0 or 1, Wilson's; else Student's t, and none for fewer than two.
[[nodiscard]] inline std::optional<confidence_interval> mean_interval(const feedback_statistics& scores) noexcept {
    if (scores.scored == 0) return std::nullopt;
    if (scores.binary == scores.scored) return wilson_interval(static_cast<std::size_t>(scores.sum), scores.scored);
    if (scores.scored < 2) return std::nullopt;
    const double n = static_cast<double>(scores.scored);
    const double variance = std::max(0.0, (scores.sum_of_squares - scores.sum * scores.mean()) / (n - 1));
    const double half = detail::student_quantile_975(scores.scored - 1) * std::sqrt(variance / n);
    return confidence_interval{scores.mean() - half, scores.mean() + half};
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
