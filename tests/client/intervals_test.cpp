// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/intervals.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <utility>

namespace mt = mlflow::trace;
using std::chrono::milliseconds;

namespace {

void expect_interval(const mt::confidence_interval& found, double low, double high, double within = 5e-4) {
    EXPECT_NEAR(found.low, low, within);
    EXPECT_NEAR(found.high, high, within);
}

mt::duration_statistics one_to(int count) {
    mt::duration_statistics all;
    for (int i = count; i > 0; --i) all.add(milliseconds(i));
    return all;
}

// Ranks whose binomial chances add up to 95 %: P(2 <= B <= 8) = 0.9785 of 10, P(40 <= B <= 59) = 0.9540 of 100.
TEST(Intervals, PercentileIsBetweenTwoOfTheDurations) {
    const auto of_ten = mt::percentile_interval(one_to(10), 50).value();
    EXPECT_EQ(of_ten.high - of_ten.low, 7);
    const auto of_hundred = mt::percentile_interval(one_to(100), 50).value();
    EXPECT_GE(of_hundred.low, 40);
    EXPECT_LE(of_hundred.high, 61);
    EXPECT_LE(of_hundred.high - of_hundred.low, 20);
    EXPECT_FALSE(mt::percentile_interval(one_to(5), 50));
    EXPECT_EQ(mt::percentile_interval(one_to(6), 50)->low, 1);
    EXPECT_EQ(mt::percentile_interval(one_to(6), 50)->high, 6);
    EXPECT_FALSE(mt::percentile_interval(one_to(58), 95));
    EXPECT_EQ(mt::percentile_interval(one_to(59), 95)->high, 59);
    EXPECT_FALSE(mt::percentile_interval({}, 50));
    const auto of_many = mt::percentile_interval(one_to(1'000'000), 95).value();
    EXPECT_NEAR(of_many.high - of_many.low, 2 * 1.96 * std::sqrt(1e6 * 0.95 * 0.05), 3);
}

// What the intervals promise: of many samples, 95 in 100 or more have the truth within.
TEST(Intervals, HoldTheTruthAsOftenAsTheySay) {
    const auto seed = std::random_device()();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::lognormal_distribution<double> duration(6.5, 1.2);
    const double median = std::exp(6.5);
    const double p95 = std::exp(6.5 + 1.2 * 1.6448536269514722);
    constexpr int samples = 2000;
    int of_median = 0;
    int of_p95 = 0;
    int of_rate = 0;
    int of_mean = 0;
    for (int i = 0; i < samples; ++i) {
        mt::duration_statistics durations;
        for (int j = 0; j < 200; ++j) durations.add(milliseconds(std::llround(duration(random))));
        const auto around_median = mt::percentile_interval(durations, 50).value();
        const auto around_p95 = mt::percentile_interval(durations, 95).value();
        of_median += around_median.contains(std::round(median)) ? 1 : 0;
        of_p95 += around_p95.contains(std::round(p95)) ? 1 : 0;
        const auto hits = std::binomial_distribution<std::size_t>(40, 0.3)(random);
        of_rate += mt::wilson_interval(hits, 40).contains(0.3) ? 1 : 0;
        mt::feedback_statistics scores;
        for (int j = 0; j < 6; ++j) {
            const double score = std::normal_distribution<double>(3, 1)(random);
            ++scores.count, ++scores.scored, scores.sum += score, scores.sum_of_squares += score * score;
        }
        of_mean += mt::mean_interval(scores)->contains(3) ? 1 : 0;
    }
    // 0.95 less four standard errors of such a count; Wilson's keeps its promise on average over all rates.
    for (const int held : {of_median, of_p95, of_rate, of_mean}) EXPECT_GE(held, samples * 0.93);
}

TEST(Intervals, MeanOfYesAndNoIsARate) {
    const mt::feedback_statistics yes_and_no{
        .count = 20, .scored = 20, .binary = 20, .sum = 20, .sum_of_squares = 20};
    expect_interval(mt::mean_interval(yes_and_no).value(), 0.8389, 1);
    const mt::feedback_statistics marks{.count = 3, .scored = 3, .binary = 0, .sum = 9, .sum_of_squares = 29};
    expect_interval(mt::mean_interval(marks).value(), 3 - 2.4841, 3 + 2.4841); // 1 of deviation, t(2) = 4.3027
    EXPECT_FALSE(mt::mean_interval({.count = 1, .scored = 1, .sum = 4}));
    EXPECT_FALSE(mt::mean_interval({.count = 4}));
}

// Put together and taken apart again, durations are what they would be one by one.
TEST(Durations, AddUpAndComeApart) {
    const auto seed = std::random_device()();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    for (int round = 0; round < 200; ++round) {
        mt::duration_statistics a;
        mt::duration_statistics b;
        mt::duration_statistics both;
        std::size_t up_to_50 = 0;
        for (int i = std::uniform_int_distribution<int>(0, 300)(random); i > 0; --i) {
            const milliseconds one(std::uniform_int_distribution<int>(0, 99)(random));
            (i % 3 == 0 ? a : b).add(one);
            both.add(one);
            up_to_50 += one <= milliseconds(50) ? 1U : 0U;
        }
        auto sum = a;
        sum.add(b);
        const auto rest = both.without(a);
        EXPECT_EQ(both.count_up_to(milliseconds(50)), up_to_50);
        using compared = std::pair<const mt::duration_statistics*, const mt::duration_statistics*>;
        for (const auto& [found, told] : {compared(&sum, &both), compared(&rest, &b)}) {
            ASSERT_EQ(found->count(), told->count());
            EXPECT_EQ(found->mean(), told->mean());
            for (std::size_t rank = 0; rank < told->count(); ++rank) ASSERT_EQ(found->at(rank), told->at(rank));
        }
    }
}

} // namespace
