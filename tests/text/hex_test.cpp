// SPDX-License-Identifier: Apache-2.0
#include "support/limited_buffer.hpp"
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/hex.hpp>

#include <gtest/gtest.h>

#include <string_view>

namespace {

namespace detail = mlflow::trace::detail;
using namespace std::string_view_literals;

TEST(hex, writes_lowercase) {
    detail::buffer out;
    ASSERT_TRUE(detail::append_hex(out, ""));
    ASSERT_TRUE(detail::append_hex(out, "\x00\x09\xAf\xff"sv));
    EXPECT_EQ(out.view(), "0009afff");
}

TEST(hex, reads_digits_of_either_case_and_nothing_else) {
    for (int c = -128; c < 128; ++c) {
        const auto lower = "0123456789abcdef"sv.find(static_cast<char>(c));
        const auto upper = "0123456789ABCDEF"sv.find(static_cast<char>(c));
        const auto expected = lower != std::string_view::npos ? lower : upper;
        EXPECT_EQ(detail::hex_digit_value(static_cast<char>(c)),
                  expected == std::string_view::npos ? -1 : static_cast<int>(expected));
    }
}

TEST(hex, stops_when_the_buffer_is_full) {
    EXPECT_EQ(test::first_capacity_that_fits("010203", [](auto& out) { return detail::append_hex(out, "\1\2\3"); }),
              6U);
}

} // namespace
