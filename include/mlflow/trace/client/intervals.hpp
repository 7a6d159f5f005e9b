// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/rate_intervals.hpp>
#include <mlflow/trace/client/statistics.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The 0.975 quantile of Student's t: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5; exact below 3
// degrees of freedom.
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

/// The interval of a percentile, in milliseconds. Its ends are two of the durations, whatever their distribution
/// (order statistics: H. A. David and H. N. Nagaraja, Order Statistics, 2003, 7.1). The number of durations below the
/// percentile is binomial; the ranks are the fewest that cover 95 % of it. Returns nothing if there are too few
/// durations: the 95th percentile needs 59, the median 6.
[[nodiscard]] inline std::optional<confidence_interval> percentile_interval(const duration_statistics& durations,
                                                                            double percent) {
    const std::size_t count = durations.count();
    const double p = std::clamp(percent, 0.0, 100.0) / 100;
    if (count == 0 || p == 0 || p == 1) return std::nullopt;
    // The probabilities of k durations below the percentile, relative to the largest one, from there to where they
    // vanish.
    const double n = static_cast<double>(count);
    const double mode = std::min(std::floor((n + 1) * p), n);
    const auto ratio = [&](double k) { return (n - k) / (k + 1) * p / (1 - p); }; // of k + 1, relative to k
    double all = 1;
    for (double k = mode, weight = 1; k < n && (weight *= ratio(k)) > 1e-18; ++k) all += weight;
    for (double k = mode, weight = 1; k > 0 && (weight /= ratio(k - 1)) > 1e-18; --k) all += weight;
    // With k durations below, the percentile lies between the k-th and the next one. With none or all below, one end
    // is unknown.
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
    return confidence_interval{at(first - 1), at(last)}; // ranks start from 0
}

/// The interval of the mean of feedback: Wilson's if all scores are 0 or 1, otherwise Student's t. Returns nothing
/// without scores, and for a single score other than 0 or 1.
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
