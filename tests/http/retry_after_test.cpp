// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/http/retry_after.hpp>

#include <gtest/gtest.h>

namespace {

namespace mt = mlflow::trace;

TEST(retry_after, is_a_number_of_seconds_or_no_wait) {
    const auto wait = [](const char* asked) {
        return mt::detail::retry_after({503, {{"Retry-After", asked}}, {}}).count();
    };
    EXPECT_EQ(wait("120"), 120'000);
    EXPECT_EQ(wait("99999999999999999999999"), 86'401'000);
    for (const char* const none : {"", "-1", "1.5", "99999999 hours", "Thu, 29 Feb 2034 23:59:17 GMT"})
        EXPECT_EQ(wait(none), 0) << none;
}

TEST(retry_after, of_a_date_is_counted_from_the_servers_own_date) {
    const auto wait = [](const char* asked, const char* date) {
        return mt::detail::retry_after({503, {{"Retry-After", asked}, {"Date", date}}, {}}).count();
    };
    constexpr const char* now = "Sun, 06 Nov 1994 08:49:37 GMT";
    EXPECT_EQ(wait("Sun, 06 Nov 1994 08:51:37 GMT", now), 120'000);
    EXPECT_EQ(wait("Sun, 06 Nov 1994 08:49:37 GMT", now), 0);
    EXPECT_EQ(wait("Sun, 06 Nov 1994 08:40:00 GMT", now), 0) << "a date in the past";
    EXPECT_EQ(wait("Sun, 06 Nov 1994 08:51:37 GMT", "today"), 0) << "the local clock is used";
}

} // namespace
