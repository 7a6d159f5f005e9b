// SPDX-License-Identifier: Apache-2.0
#include "support/limited_buffer.hpp"
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/json_number.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <string>

namespace {

namespace detail = mlflow::trace::detail;

std::string number(double value) {
    detail::buffer out;
    EXPECT_TRUE(detail::append_json_double(out, value));
    return std::string(out.view());
}

TEST(json_number, is_the_shortest_that_reads_back) {
    using limits = std::numeric_limits<double>;
    EXPECT_EQ(number(0.1), "0.1");
    EXPECT_EQ(number(0.0), "0.0");
    EXPECT_EQ(number(-0.0), "-0.0");
    EXPECT_EQ(number(3), "3.0");
    EXPECT_EQ(number(1048576), "1048576.0");
    EXPECT_EQ(number(1e300), "1e+300");
    EXPECT_EQ(number(limits::quiet_NaN()), "null");
    EXPECT_EQ(number(limits::infinity()), "null");
    EXPECT_EQ(number(-limits::infinity()), "null");
    for (const double value : {limits::min(), limits::denorm_min(), limits::max(), limits::lowest(), 1.0 / 3.0}) {
        EXPECT_EQ(std::strtod(number(value).c_str(), nullptr), value);
        const std::string whole = number(value);
        EXPECT_EQ(
            test::first_capacity_that_fits(whole, [=](auto& out) { return detail::append_json_double(out, value); }),
            whole.size());
    }
}

} // namespace
