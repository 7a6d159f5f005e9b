// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/device/ticks.hpp>

#include <gtest/gtest.h>

#include <cstdint>

namespace mt = mlflow::trace;

namespace {

TEST(UnwrappedTicks, GoOnWhereTheCounterStartsAgain) {
    mt::unwrapped_ticks ticks;
    std::uint64_t now = 0;
    for (int step = 0; step < 1'000; ++step) {
        EXPECT_EQ(ticks(static_cast<std::uint32_t>(now)), now);
        now += 0xffff'fff0U - static_cast<std::uint32_t>(step) * 4'000'000U;
    }
    EXPECT_GT(now, 0x100'0000'0000U);
}

TEST(UnwrappedTicks, StandStillWithTheCounter) {
    mt::unwrapped_ticks ticks;
    EXPECT_EQ(ticks(0xffff'ffff), 0xffff'ffffU);
    EXPECT_EQ(ticks(0xffff'ffff), 0xffff'ffffU);
    EXPECT_EQ(ticks(0), 0x1'0000'0000U);
}

} // namespace
