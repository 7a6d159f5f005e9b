// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A 95 % confidence interval: where the true value of all traffic lies, as estimated from some traces. The functions
/// that return one assume that the traces are independent; a few users with many traces each make the true interval
/// wider.
struct confidence_interval {
    /// The lower end.
    double low = 0;
    /// The upper end.
    double high = 0;

    /// Whether the value lies in the interval.
    [[nodiscard]] bool contains(double value) const noexcept { return low <= value && value <= high; }
    /// Whether the two intervals have no value in common.
    [[nodiscard]] bool is_apart_from(const confidence_interval& other) const noexcept {
        return high < other.low || other.high < low;
    }
};

namespace detail {

inline constexpr double normal_quantile_975 = 1.959963984540054;

} // namespace detail

/// The interval of a rate, `hits` of `count`: Wilson's score interval (E. B. Wilson, Probable inference, the law of
/// succession, and statistical inference, 1927), which is accurate for small numbers and for rates near 0 and 1. For
/// a count of 0, it is 0 to 1.
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

/// The interval of the difference of two rates, the first minus the second, from their Wilson intervals (R. G.
/// Newcombe, Interval estimation for the difference between independent proportions, 1998, method 10). If it does not
/// contain 0, the rates differ.
[[nodiscard]] inline confidence_interval
newcombe_interval(std::size_t hits, std::size_t count, std::size_t hits_before, std::size_t count_before) noexcept {
    if (count == 0 || count_before == 0) return {-1, 1};
    const double a = static_cast<double>(hits) / static_cast<double>(count);
    const double b = static_cast<double>(hits_before) / static_cast<double>(count_before);
    const auto of_a = wilson_interval(hits, count);
    const auto of_b = wilson_interval(hits_before, count_before);
    return {a - b - std::hypot(a - of_a.low, of_b.high - b), a - b + std::hypot(of_a.high - a, b - of_b.low)};
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
