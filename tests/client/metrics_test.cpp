// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/metrics.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace mt = mlflow::trace;
namespace field = mt::field;

namespace {

std::string body_of(const mt::metric_query& query) {
    const auto body = mt::detail::metric_body(query);
    return body ? body->dump() : body.error().message();
}

TEST(Metrics, AskForTheLatencyUnlessToldOtherwise) {
    EXPECT_EQ(body_of({}), R"({"experiment_ids":[],"metric_name":"latency","view_type":"TRACES"})");
}

TEST(Metrics, SayAllThatTheyAreGiven) {
    const mt::metric_query query{.metric = "input_tokens",
                                 .aggregations = {{}, mt::aggregation::percentile_of(95)},
                                 .where = field::user == mt::user{"ann"} && field::status == field::ok,
                                 .dimensions = {"trace_name"},
                                 .since = mt::trace_time(std::chrono::milliseconds(1)),
                                 .until = mt::trace_time(std::chrono::milliseconds(2)),
                                 .interval = std::chrono::seconds(3),
                                 .experiment_ids = {"7"}};
    const auto body = mt::detail::metric_body(query);
    ASSERT_TRUE(body);
    EXPECT_EQ((*body)["aggregations"].dump(),
              R"([{"aggregation_type":"AVG"},{"aggregation_type":"PERCENTILE","percentile_value":95.0}])");
    EXPECT_EQ((*body)["filters"].size(), 2U);
    EXPECT_EQ((*body)["filters"][0].get<std::string>().rfind("trace.metadata", 0), 0U) << (*body)["filters"].dump();
    EXPECT_EQ((*body)["dimensions"].dump(), R"(["trace_name"])");
    EXPECT_EQ((*body)["start_time_ms"], 1);
    EXPECT_EQ((*body)["end_time_ms"], 2);
    EXPECT_EQ((*body)["time_interval_seconds"], 3);
    EXPECT_EQ((*body)["experiment_ids"].dump(), R"(["7"])");
}

TEST(Metrics, RejectFiltersThatMlflowDoesNotTakeThere) {
    for (const mt::filter& other : {field::status != field::ok, field::text.like("%refund%"),
                                    field::client_request_id == mt::client_request_id{"request"}})
        EXPECT_EQ(mt::detail::metric_body({.where = other}).error().kind(), mt::error_kind::bad_request);
}

TEST(Metrics, ReadPointsAndPassOverWhatIsNone) {
    const auto point = mt::detail::read_metric_point(mt::detail::json::parse(
        R"({"metric_name": "latency", "dimensions": {"trace_name": "chat", "number": 7},
            "values": {"AVG": 1.5, "P95.0": 3, "text": "x", "null": null}})"));
    EXPECT_EQ(point.metric, "latency");
    EXPECT_EQ(point.dimensions.at("trace_name"), "chat");
    EXPECT_EQ(point.dimensions.at("number"), "7");
    EXPECT_EQ(point.values.size(), 2U);
    EXPECT_EQ(point.values.at("P95.0"), 3);
    const auto nothing = mt::detail::read_metric_point(mt::detail::json::parse("[]"));
    EXPECT_TRUE(nothing.metric.empty() && nothing.values.empty() && nothing.dimensions.empty());
}

} // namespace
