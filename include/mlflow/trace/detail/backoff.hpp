// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/durations.hpp>

#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The backoff between attempts: each pause is half as long again as the previous one, up to `longest`, and is then
// shortened by a random amount of up to half, so that many processes do not retry at the same time. Does not use
// <algorithm>, which is 9,000 preprocessed lines.
class backoff {
public:
    using milliseconds = std::chrono::milliseconds;

    backoff(milliseconds first, milliseconds longest) noexcept : first_(bounded(first)), longest_(bounded(longest)) {}

    // Call after an attempt that succeeded.
    void reset() noexcept { is_first_ = true; }

    // The next pause. `asked` is the receiver's `Retry-After`: it takes precedence where it is longer, up to 10
    // minutes.
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
    // 0 to 1023 by xorshift64*, seeded by the clock. The pauses only have to differ between processes.
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
