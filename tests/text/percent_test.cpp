// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/text/percent.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace {

namespace detail = mlflow::trace::detail;

TEST(percent, encodes_what_does_not_stand_for_itself) {
    std::string encoded = "q=";
    detail::append_percent_encoded(encoded, "a-Z_0.~ /\xC3\xA9%\x7f", detail::is_unreserved);
    EXPECT_EQ(encoded, "q=a-Z_0.~%20%2F%C3%A9%25%7F");
    encoded.clear();
    detail::append_percent_encoded(encoded, "a/\xff", [](char c) { return c == '/'; }, "0123456789abcdef");
    EXPECT_EQ(encoded, "%61/%ff");
}

TEST(percent, knows_an_escape) {
    EXPECT_EQ(detail::percent_escape_at("a%2fb", 1), '/');
    EXPECT_EQ(detail::percent_escape_at("%Fe", 0), 0xfe);
    EXPECT_EQ(detail::percent_escape_at("%00", 0), 0);
    for (const std::string_view none : {"", "%", "%2", "%2g", "%g2", "% 2", "%+2", "%-1", "a41", "%%41"})
        EXPECT_EQ(detail::percent_escape_at(none, 0), -1) << none;
    EXPECT_EQ(detail::percent_escape_at("%41", 1), -1);
    EXPECT_EQ(detail::percent_escape_at("%41", 7), -1);
}

} // namespace
