// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/assessments.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace mt = mlflow::trace;
using nlohmann::json;

namespace {

constexpr const char* now = "2026-11-23T04:03:42Z";

TEST(Assessments, OfFeedbackSayWhoRatedWhat) {
    const auto body = mt::detail::assessment_body(
        mt::feedback{.name = "helpful", .value = true, .source = {"HUMAN", "user-1"}, .rationale = "clear"}, "tr-1",
        now);
    EXPECT_EQ(body, json::parse(R"({"assessment_name": "helpful", "trace_id": "tr-1", "rationale": "clear",
        "source": {"source_type": "HUMAN", "source_id": "user-1"}, "feedback": {"value": true}, "valid": true,
        "create_time": "2026-11-23T04:03:42Z", "last_update_time": "2026-11-23T04:03:42Z"})"));
}

TEST(Assessments, OfASpanNameIt) {
    const auto body = mt::detail::assessment_body(
        mt::feedback{.value = 1, .span_id = "0000000000000001", .metadata = {{"a", "b"}}}, "tr-1", now);
    EXPECT_EQ(body["span_id"], "0000000000000001");
    EXPECT_EQ(body["metadata"], json({{"a", "b"}}));
    EXPECT_FALSE(body.contains("rationale"));
}

TEST(Assessments, ThatExpectAListOrAnObjectSendItAsText) {
    const auto value = [](json expected) {
        return mt::detail::assessment_body(mt::expectation{.name = "answer", .value = std::move(expected)}, "tr-1",
                                           now)["expectation"];
    };
    EXPECT_EQ(value("yes"), json({{"value", "yes"}}));
    EXPECT_EQ(value({1, 2})["serialized_value"], json({{"serialization_format", "JSON_FORMAT"}, {"value", "[1,2]"}}));
}

TEST(Assessments, SendOnlyWhatChanges) {
    mt::assessment old;
    old.id = "a-1";
    old.trace_id = "tr-1";
    old.what = mt::assessment::kind::feedback;
    EXPECT_EQ(mt::detail::update_body(old, {}),
              json({{"assessment", {{"assessment_id", "a-1"}, {"trace_id", "tr-1"}}}, {"update_mask", ""}}));
    const auto body =
        mt::detail::update_body(old, {.name = "useful", .value = 0.5, .rationale = "", .metadata = {{"a", "b"}}});
    EXPECT_EQ(body["update_mask"], "assessmentName,feedback,rationale,metadata");
    EXPECT_EQ(body["assessment"]["feedback"], json({{"value", 0.5}}));
    EXPECT_EQ(body["assessment"]["rationale"], "") << "an empty text is a change";
}

} // namespace
