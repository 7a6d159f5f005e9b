// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/statistics.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <limits>
#include <string>

namespace mt = mlflow::trace;
using std::chrono::milliseconds;

namespace {

mt::trace_info trace_at(int millisecond, int duration) {
    mt::trace_info trace;
    trace.request_time = mt::trace_time(milliseconds(millisecond));
    trace.execution_duration = milliseconds(duration);
    trace.status = mt::trace_status::ok;
    return trace;
}

mt::assessment feedback(const char* value) {
    mt::assessment one;
    one.name = "helpful";
    one.what = mt::assessment::kind::feedback;
    one.value = value;
    return one;
}

TEST(Statistics, OfNothingAreZero) {
    const mt::duration_statistics none;
    EXPECT_EQ(none.count(), 0U);
    EXPECT_EQ(none.mean(), 0);
    EXPECT_EQ(none.percentile(95), 0);
    EXPECT_EQ(none.at(3), milliseconds(0));
    EXPECT_EQ(none.count_up_to(milliseconds(1)), 0U);
    const mt::activity idle;
    EXPECT_EQ(idle.error_rate(), 0);
    EXPECT_EQ(mt::feedback_statistics{}.mean(), 0);
}

// NumPy: percentile([10, 20, 30, 40], [0, 25, 50, 95, 100]) is 10, 17.5, 25, 38.5, 40.
TEST(Statistics, PercentilesAreNumpys) {
    mt::duration_statistics all;
    for (const int value : {40, 10, 30, 20}) all.add(milliseconds(value));
    EXPECT_DOUBLE_EQ(all.percentile(0), 10);
    EXPECT_DOUBLE_EQ(all.percentile(25), 17.5);
    EXPECT_DOUBLE_EQ(all.percentile(50), 25);
    EXPECT_DOUBLE_EQ(all.percentile(95), 38.5);
    EXPECT_DOUBLE_EQ(all.percentile(100), 40);
    EXPECT_DOUBLE_EQ(all.percentile(-5), 10);
    EXPECT_DOUBLE_EQ(all.percentile(500), 40);
    EXPECT_DOUBLE_EQ(all.mean(), 25);
}

TEST(Statistics, RanksCountEqualDurations) {
    mt::duration_statistics all;
    for (int round = 0; round < 1'000; ++round)
        for (const int value : {7, 3, 5}) all.add(milliseconds(value));
    EXPECT_EQ(all.count(), 3'000U);
    EXPECT_EQ(all.at(0), milliseconds(3));
    EXPECT_EQ(all.at(999), milliseconds(3));
    EXPECT_EQ(all.at(1'000), milliseconds(5));
    EXPECT_EQ(all.at(9'999), milliseconds(7));
    EXPECT_EQ(all.count_up_to(milliseconds(2)), 0U);
    EXPECT_EQ(all.count_up_to(milliseconds(5)), 2'000U);
}

TEST(Statistics, AnActivityCountsTracesAndWhatTheyUsed) {
    mt::activity all;
    auto first = trace_at(2'000, 10);
    first.metadata["mlflow.trace.tokenUsage"] = R"({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7})";
    first.metadata["mlflow.trace.cost"] = R"({"total_cost": 0.5})";
    auto second = trace_at(1'000, 30);
    second.status = mt::trace_status::error;
    second.metadata["mlflow.trace.tokenUsage"] = "no JSON";
    auto open = trace_at(3'000, 0);
    open.has_duration = false;
    for (const auto* const each : {&first, &second, &open}) all.add(*each);
    EXPECT_EQ(all.interactions, 3U);
    EXPECT_EQ(all.first_seen, mt::trace_time(milliseconds(1'000)));
    EXPECT_EQ(all.last_seen, mt::trace_time(milliseconds(3'000)));
    EXPECT_EQ(all.durations.count(), 2U);
    EXPECT_EQ(all.errors, 1U);
    EXPECT_DOUBLE_EQ(all.error_rate(), 1.0 / 3);
    EXPECT_EQ(all.input_tokens, 3);
    EXPECT_EQ(all.output_tokens, 4);
    EXPECT_DOUBLE_EQ(all.cost, 0.5);
}

TEST(Statistics, FeedbackScoresNumbersAndTruths) {
    mt::activity all;
    auto trace = trace_at(0, 1);
    for (const char* const value : {"true", "false", "0.5", "\"good\"", "", "{"})
        trace.assessments.push_back(feedback(value));
    auto overridden = feedback("true");
    overridden.valid = false;
    auto expectation = feedback("true");
    expectation.what = mt::assessment::kind::expectation;
    trace.assessments.push_back(overridden);
    trace.assessments.push_back(expectation);
    all.add(trace);
    const auto& helpful = all.feedback.at("helpful");
    EXPECT_EQ(helpful.count, 6U);
    EXPECT_EQ(helpful.scored, 3U);
    EXPECT_DOUBLE_EQ(helpful.mean(), 0.5);
}

TEST(Statistics, TokensThatWouldOverflowStayAtTheLargest) {
    mt::activity all;
    auto trace = trace_at(0, 1);
    trace.metadata["mlflow.trace.tokenUsage"] = R"({"input_tokens": 9223372036854775807})";
    all.add(trace);
    all.add(trace);
    EXPECT_EQ(all.input_tokens, std::numeric_limits<std::int64_t>::max());
}

} // namespace
