// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/detail/deadline.hpp>

#include <gtest/gtest.h>

#include <chrono>

namespace {

namespace detail = mlflow::trace::detail;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using std::chrono::milliseconds;

TEST(a_deadline, is_so_much_later_than_now) {
    const auto before = clock_type::now();
    const auto soon = detail::deadline_after(250ms);
    EXPECT_GE(soon, before + 250ms);
    EXPECT_LE(soon, clock_type::now() + 250ms);
}

TEST(a_deadline, without_end_is_far_away_and_one_that_has_passed_is_now) {
    EXPECT_GT(detail::deadline_after(milliseconds::max()), clock_type::now() + std::chrono::hours(24 * 36'000));
    for (const auto past : {milliseconds::min(), milliseconds::min() + 1ms, -1ms, 0ms}) {
        const auto before = clock_type::now();
        const auto at = detail::deadline_after(past);
        EXPECT_GE(at, before);
        EXPECT_LE(at, clock_type::now());
    }
}

} // namespace
