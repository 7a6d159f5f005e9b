// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <chrono>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// So much later than now; a century at most, since `milliseconds::max()`, which says without end, would overflow.
inline std::chrono::steady_clock::time_point deadline_after(std::chrono::milliseconds time) noexcept {
    constexpr std::chrono::milliseconds century = std::chrono::hours(24 * 36'525);
    return std::chrono::steady_clock::now() + (time < century ? time : century);
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
