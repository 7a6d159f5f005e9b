// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A counter of 32 bits that starts again at 0, as one of 64 that does not: for `monotonic_nano` of a board. It must
/// be asked at least once in the time of 2^32 ticks: 71 minutes of microseconds, 49 days of milliseconds.
/// Thread-safety: none; the board's lock is to be held.
class unwrapped_ticks {
public:
    constexpr std::uint64_t operator()(std::uint32_t counter) noexcept {
        ticks_ += counter - static_cast<std::uint32_t>(ticks_); // the difference of 32 bits, over the wrap too
        return ticks_;
    }

private:
    std::uint64_t ticks_ = 0;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
