// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/durations.hpp>

#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The waits between attempts: each longer by half, up to `longest`, and each shortened by up to a half at random, so
// that many processes do not come back at once. Without <algorithm>, which is 9,000 lines.
class backoff {
public:
    using milliseconds = std::chrono::milliseconds;

    backoff(milliseconds first, milliseconds longest) noexcept : first_(bounded(first)), longest_(bounded(longest)) {}

    // After an attempt that succeeded.
    void reset() noexcept { is_first_ = true; }

    // `asked`: what the receiver wants waited, of which 10 minutes are.
    [[nodiscard]] milliseconds next(milliseconds asked) noexcept {
        const milliseconds longer = wait_ + wait_ / 2 + milliseconds(1);
        wait_ = is_first_ ? first_ : longer < longest_ ? longer : longest_;
        is_first_ = false;
        const milliseconds chosen = wait_ - wait_ * random_part() / 2048;
        constexpr milliseconds longest_asked = std::chrono::minutes(10);
        if (asked > longest_asked) asked = longest_asked;
        return asked > chosen ? asked : chosen;
    }

private:
    // 0 to 1023 by xorshift64*, seeded by the clock: the waits need to differ between processes, no more.
    std::int64_t random_part() noexcept {
        if (random_ == 0)
            random_ = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) | 1U;
        random_ ^= random_ >> 12U;
        random_ ^= random_ << 25U;
        random_ ^= random_ >> 27U;
        return static_cast<std::int64_t>((random_ * 0x2545f4914f6cdd1dU) >> 54U);
    }

    milliseconds first_;
    milliseconds longest_;
    milliseconds wait_{0};
    bool is_first_ = true;
    std::uint64_t random_ = 0;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
