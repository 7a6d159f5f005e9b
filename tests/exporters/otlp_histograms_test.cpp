// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/exporters/otlp_histograms.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace mt = mlflow::trace;
namespace detail = mt::detail;

namespace {

using detail::histogram;
using detail::histogram_table;
constexpr auto metric = detail::tool_duration; // its boundaries begin with 0.01, 0.02, 0.04

TEST(OtlpHistogram, CountsAValueOnABoundaryBelowIt) {
    histogram values;
    for (const double value : {0.01, 0.011, 0.02, 1e9}) values.add(value, detail::metrics[metric]);
    EXPECT_EQ(values.count, 4U);
    EXPECT_EQ(values.buckets[0], 1U);
    EXPECT_EQ(values.buckets[1], 2U);
    EXPECT_EQ(values.buckets[detail::metrics[metric].boundary_count], 1U) << "above all boundaries";
    EXPECT_EQ(values.min, 0.01);
    EXPECT_EQ(values.max, 1e9);
}

TEST(OtlpHistogram, AddsAnotherOne) {
    histogram one, other, both;
    one.add(0.5, detail::metrics[metric]);
    other.add(0.25, detail::metrics[metric]);
    other.add(2, detail::metrics[metric]);
    both.add(one);
    both.add(histogram());
    both.add(other);
    EXPECT_EQ(both.count, 3U);
    EXPECT_EQ(both.sum, 2.75);
    EXPECT_EQ(both.min, 0.25);
    EXPECT_EQ(both.max, 2);
}

std::string request_of(const histogram_table& table) {
    detail::buffer out;
    EXPECT_TRUE(table.append_request(out, {{"service.name", "chat"}}, mt::metric_temporality::delta, 1, 2));
    return std::string(out.view());
}
// The KeyValue of a data point, as the worker writes it: `a` = `value`.
std::string attribute(char value) {
    return std::string("\x4a\x08\x0a\x01"
                       "a\x12\x03\x0a\x01",
                       9) +
           value;
}

TEST(OtlpHistogramTable, HasNothingToDeliverWithoutValues) {
    histogram_table table(10);
    EXPECT_FALSE(table.collect());
    table.find_or_add(metric, attribute('x'));
    EXPECT_FALSE(table.collect());
}

TEST(OtlpHistogramTable, WritesWhatItCollected) {
    histogram_table table(10);
    table.find_or_add(metric, attribute('x')).recent.add(0.5, detail::metrics[metric]);
    ASSERT_TRUE(table.collect());
    const std::string request = request_of(table);
    EXPECT_NE(request.find("gen_ai.execute_tool.duration"), std::string::npos);
    EXPECT_NE(request.find(attribute('x')), std::string::npos);
    EXPECT_EQ(request.find("gen_ai.client.token.usage"), std::string::npos) << "a metric without values";
}

TEST(OtlpHistogramTable, KeepsCumulativeValuesAndForgetsDelivered) {
    histogram_table table(10);
    auto& series = table.find_or_add(metric, attribute('x'));
    series.recent.add(0.5, detail::metrics[metric]);
    ASSERT_TRUE(table.collect());
    series.recent.add(0.5, detail::metrics[metric]);
    ASSERT_TRUE(table.collect());
    EXPECT_EQ(series.collected.count, 2U);
    EXPECT_EQ(series.recent.count, 0U);
    table.forget_delivered();
    EXPECT_FALSE(table.collect());
}

TEST(OtlpHistogramTable, AddsWhatIsOverTheLimitToOneSet) {
    histogram_table table(2);
    for (const char value : {'x', 'y', 'z', 'w', 'x'})
        table.find_or_add(metric, attribute(value)).recent.add(0.5, detail::metrics[metric]);
    ASSERT_TRUE(table.collect());
    const std::string request = request_of(table);
    EXPECT_NE(request.find("otel.metric.overflow"), std::string::npos);
    EXPECT_NE(request.find(attribute('y')), std::string::npos);
    EXPECT_EQ(request.find(attribute('z')), std::string::npos);
    EXPECT_EQ(table.find_or_add(metric, attribute('v')).collected.count, 2U) << "z and w";
}

} // namespace
