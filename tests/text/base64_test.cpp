// SPDX-License-Identifier: Apache-2.0
#include "support/limited_buffer.hpp"
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/base64.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace {

namespace detail = mlflow::trace::detail;
using namespace std::string_view_literals;

std::string base64(std::string_view bytes) {
    detail::buffer out;
    EXPECT_TRUE(detail::append_base64(out, bytes));
    return std::string(out.view());
}

// RFC 4648, section 10.
TEST(base64, test_vectors_of_the_standard) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foob"), "Zm9vYg==");
    EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
}

TEST(base64, all_bits_and_both_last_digits) {
    EXPECT_EQ(base64("\xff\xff\xff\x00\x00\x00\xfb\xef\xbe"sv), "////AAAA++++");
}

TEST(base64, stops_when_the_buffer_is_full) {
    EXPECT_EQ(
        test::first_capacity_that_fits("Zm9vYg==", [](auto& out) { return detail::append_base64(out, "foob"); }), 8U);
}

} // namespace
