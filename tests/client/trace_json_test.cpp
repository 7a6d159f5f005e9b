// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/trace_json.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <string>

namespace mt = mlflow::trace;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

json info() {
    return json::parse(R"({"trace_id": "tr-1", "request_time": "2026-11-23T04:03:42.571Z",
        "execution_duration": "1.5s", "state": "ERROR", "client_request_id": "req-1",
        "trace_location": {"mlflow_experiment": {"experiment_id": "7"}},
        "request_preview": "in", "response_preview": "out",
        "trace_metadata": {"mlflow.trace.user": "user-1", "app.n": 3}, "tags": {"stage": "test"}})");
}

TEST(TraceJson, OfATraceHasItsTimesStateAndTexts) {
    const auto trace = mt::detail::read_trace_info(info());
    ASSERT_TRUE(trace);
    EXPECT_EQ(trace->trace_id, "tr-1");
    EXPECT_EQ(trace->request_time.time_since_epoch().count(), 1'795'406'622'571);
    EXPECT_EQ(trace->execution_duration, 1500ms);
    EXPECT_TRUE(trace->has_duration);
    EXPECT_EQ(trace->status, mt::trace_status::error);
    EXPECT_EQ(trace->client_request_id, "req-1");
    EXPECT_EQ(trace->experiment_id, "7");
    EXPECT_EQ(trace->user(), "user-1");
    EXPECT_EQ((*trace)["app.n"], "3") << "as JSON";
    EXPECT_EQ(trace->tag("stage"), "test");
    EXPECT_EQ(trace->request_preview + trace->response_preview, "inout");
}

TEST(TraceJson, WithoutAnIdOrATimeIsNoTrace) {
    for (const char* const member : {"trace_id", "request_time"}) {
        auto cut = info();
        cut.erase(member);
        EXPECT_FALSE(mt::detail::read_trace_info(cut)) << member;
    }
    auto bad = info();
    bad["execution_duration"] = "soon";
    EXPECT_FALSE(mt::detail::read_trace_info(bad));
    EXPECT_FALSE(mt::detail::read_trace_info(json::array()));
}

TEST(TraceJson, OfATraceWithoutAnEndHasNoDuration) {
    auto open = info();
    open["execution_duration"] = "-1795406622.571s"; // MLflow's: the end is 0
    EXPECT_FALSE(mt::detail::read_trace_info(open)->has_duration);
    open.erase("execution_duration");
    EXPECT_FALSE(mt::detail::read_trace_info(open)->has_duration);
}

TEST(TraceJson, OfAnAssessmentHasItsValueOrItsError) {
    const auto read = [](const char* text) { return mt::detail::read_assessment(json::parse(text)); };
    const auto rated = read(R"({"assessment_id": "a-1", "assessment_name": "helpful", "feedback": {"value": 0.5},
        "source": {"source_type": "CODE", "source_id": "check"}, "valid": false, "overrides": "a-0"})");
    EXPECT_EQ(rated.what, mt::assessment::kind::feedback);
    EXPECT_EQ(rated.value, "0.5");
    EXPECT_EQ(rated.source.type + rated.source.id, "CODEcheck");
    EXPECT_FALSE(rated.valid);
    EXPECT_EQ(rated.overrides, "a-0");
    const auto failed = read(R"({"feedback": {"error": {"error_code": "E", "error_message": "no answer"}}})");
    EXPECT_EQ(failed.value, "");
    EXPECT_EQ(failed.error, "E: no answer");
    EXPECT_TRUE(failed.valid);
    const auto expected = read(R"({"expectation": {"serialized_value": {"value": "[1]"}}})");
    EXPECT_EQ(expected.what, mt::assessment::kind::expectation);
    EXPECT_EQ(expected.value, "[1]");
    EXPECT_EQ(read("{}").what, mt::assessment::kind::other);
}

TEST(TraceJson, OfSpansHasTheirAttributesAsJson) {
    const auto trace = mt::detail::read_trace({{"trace_info", info()}, {"spans", json::parse(R"([
        {"name": "chat", "span_id": "AAAAAAAAAAE=", "parent_span_id": "AAAAAAAAAAI=",
         "start_time_unix_nano": "5", "end_time_unix_nano": 7, "status": {"code": "STATUS_CODE_OK", "message": "m"},
         "attributes": [{"key": "n", "value": {"int_value": "3"}}, {"key": "t", "value": {"stringValue": "x"}},
                        {"key": "l", "value": {"array_value": {"values": [{"bool_value": true}]}}},
                        {"key": "o", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": 0.5}}]}}}],
         "events": [{"name": "exception", "time_unix_nano": 6,
                     "attributes": [{"key": "exception.type", "value": {"string_value": "E"}}]}]}])")}});
    ASSERT_TRUE(trace);
    ASSERT_EQ(trace->spans.size(), 1U);
    const mt::stored_span& span = trace->spans[0];
    EXPECT_EQ(span.id, "0000000000000001");
    EXPECT_EQ(span.parent, "0000000000000002");
    EXPECT_EQ(span.start_unix_nano, 5);
    EXPECT_EQ(span.end_unix_nano, 7);
    EXPECT_EQ(span.status, mt::trace_status::ok);
    EXPECT_EQ(span.status_message, "m");
    EXPECT_EQ(span.attributes, (mt::text_map{{"l", "[true]"}, {"n", "3"}, {"o", R"({"k":0.5})"}, {"t", R"("x")"}}));
    ASSERT_EQ(span.events.size(), 1U);
    EXPECT_EQ(span.events[0].unix_nano, 6);
    EXPECT_EQ(span.events[0].attributes, (mt::text_map{{"exception.type", R"("E")"}}));
}

} // namespace
