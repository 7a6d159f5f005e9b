// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/detail/durations.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Limits a timeout to 0 to 100 years, because `milliseconds::max()`, which means "no limit", and `min()` would
// overflow.
inline std::chrono::milliseconds bounded(std::chrono::milliseconds time) noexcept {
    constexpr std::chrono::milliseconds century = std::chrono::hours(24 * 36'525);
    return time > century ? century : time.count() > 0 ? time : std::chrono::milliseconds(0);
}

// The time point this long after now.
inline std::chrono::steady_clock::time_point deadline_after(std::chrono::milliseconds time) noexcept {
    return std::chrono::steady_clock::now() + bounded(time);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
