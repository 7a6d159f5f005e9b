// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Extends a 32-bit counter that wraps to 64 bits, for a board's `monotonic_nano`. It must be called at least once in
/// 2^32 ticks: 71 minutes for microseconds, 49 days for milliseconds.
///
/// Thread-safety: none; where interrupt handlers record, call it between the board's `lock()` and `unlock()`.
class unwrapped_ticks {
public:
    /// The 64-bit count for this reading of the counter.
    constexpr std::uint64_t operator()(std::uint32_t counter) noexcept {
        ticks_ += counter - static_cast<std::uint32_t>(ticks_); // the 32-bit difference, correct across a wrap
        return ticks_;
    }

private:
    std::uint64_t ticks_ = 0;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
