// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/http/date.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <ctime>
#include <string>

namespace {

using mlflow::trace::detail::parse_http_date;

TEST(HttpDate, ReadsTheExampleOfTheSpecification) {
    EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784'111'777);
    EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    EXPECT_EQ(parse_http_date("Tue, 29 Feb 2000 00:00:00 GMT"), 951'782'400);
}

TEST(HttpDate, SaysTheSameAsTheSystem) {
    for (std::int64_t seconds = 0; seconds < 8'000'000'000; seconds += 7'654'321) {
        const std::time_t moment = seconds;
        std::tm parts{};
        gmtime_r(&moment, &parts);
        char text[64];
        ASSERT_EQ(std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts), 29U);
        ASSERT_EQ(parse_http_date(text), seconds) << text;
    }
}

TEST(HttpDate, RefusesOtherForms) {
    for (const char* const text : {"",
                                   "120",
                                   "Sunday, 06-Nov-94 08:49:37 GMT",
                                   "Sun Nov  6 08:49:37 1994",
                                   "Sun, 06 Nov 1994 08:49:37 UTC",
                                   "Sun, 00 Nov 1994 08:49:37 GMT",
                                   "Sun, 06 Nox 1994 08:49:37 GMT",
                                   "Sun, 06 anF 1994 08:49:37 GMT",
                                   "Sun, 06 Nov 1994 24:49:37 GMT",
                                   "Sun, 06 Nov 1994 08:60:37 GMT",
                                   "Sun, 06 Nov 1969 08:49:37 GMT",
                                   "Sun, 06 Nov 1994 08:49:3x GMT",
                                   "Sun, 06 Nov 1994 08:49:37 GMT ",
                                   "Thu, 29 Feb 2034 23:59:17 GMT",
                                   "Mon, 29 Feb 2100 00:00:00 GMT",
                                   "Wed, 30 Feb 2000 00:00:00 GMT",
                                   "Wed, 31 Apr 2024 00:00:00 GMT",
                                   "Tue, 31 Sep 2024 00:00:00 GMT",
                                   "Sun, 31 Nov 2024 00:00:00 GMT",
                                   "Sun, 32 Dec 2024 00:00:00 GMT"})
        EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
}

} // namespace
