// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/rate_intervals.hpp>

#include <gtest/gtest.h>

namespace mt = mlflow::trace;

namespace {

void expect_interval(const mt::confidence_interval& found, double low, double high, double within = 5e-4) {
    EXPECT_NEAR(found.low, low, within);
    EXPECT_NEAR(found.high, high, within);
}

// The figures of Newcombe's papers of 1998: two-sided 95 %, Wilson's score method.
TEST(RateIntervals, RateIsThatOfNewcombesTable) {
    expect_interval(mt::wilson_interval(81, 263), 0.2553, 0.3662);
    expect_interval(mt::wilson_interval(15, 148), 0.0624, 0.1605);
    expect_interval(mt::wilson_interval(0, 20), 0, 0.1611);
    expect_interval(mt::wilson_interval(1, 29), 0.0061, 0.1718);
    expect_interval(mt::wilson_interval(20, 20), 0.8389, 1);
    expect_interval(mt::wilson_interval(0, 0), 0, 1);
}

TEST(RateIntervals, DifferenceOfRatesIsThatOfNewcombesTable) {
    expect_interval(mt::newcombe_interval(56, 70, 48, 80), 0.0524, 0.3339);
    expect_interval(mt::newcombe_interval(9, 10, 3, 10), 0.1705, 0.8090);
    expect_interval(mt::newcombe_interval(5, 56, 0, 29), -0.0381, 0.1926);
    expect_interval(mt::newcombe_interval(0, 10, 0, 10), -0.2775, 0.2775);
    expect_interval(mt::newcombe_interval(1, 10, 0, 0), -1, 1);
}

TEST(RateIntervals, AreApartOnlyWithoutACommonValue) {
    const mt::confidence_interval one{0.1, 0.3};
    EXPECT_TRUE(one.contains(0.1) && one.contains(0.3));
    EXPECT_FALSE(one.contains(0.09) || one.contains(0.31));
    EXPECT_FALSE(one.is_apart_from({0.3, 0.5}));
    EXPECT_TRUE(one.is_apart_from({0.31, 0.5}));
    EXPECT_TRUE(one.is_apart_from({0, 0.09}));
}

} // namespace
