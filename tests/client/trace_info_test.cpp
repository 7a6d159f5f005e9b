// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/trace_info.hpp>

#include <gtest/gtest.h>

#include <chrono>

namespace mt = mlflow::trace;

namespace {

TEST(TraceInfo, GivesEmptyTextsOfWhatIsNotThere) {
    const mt::trace_info nothing;
    EXPECT_EQ(nothing.user(), "");
    EXPECT_EQ(nothing.session(), "");
    EXPECT_EQ(nothing.name(), "");
    EXPECT_EQ(nothing["app.segment"], "");
    EXPECT_EQ(nothing.end_time(), nothing.request_time);
}

TEST(TraceInfo, FindsMetadataAndTagsApart) {
    mt::trace_info trace;
    trace.metadata = {{"mlflow.trace.user", "user-1"}, {"mlflow.trace.session", "session-1"}, {"key", "metadata"}};
    trace.tags = {{"mlflow.traceName", "chat"}, {"key", "tag"}};
    trace.request_time = mt::trace_time(std::chrono::milliseconds(1'000));
    trace.execution_duration = std::chrono::milliseconds(250);
    EXPECT_EQ(trace.user(), "user-1");
    EXPECT_EQ(trace.session(), "session-1");
    EXPECT_EQ(trace.name(), "chat");
    EXPECT_EQ(trace["key"], "metadata");
    EXPECT_EQ(trace.tag("key"), "tag");
    EXPECT_EQ(trace.end_time(), mt::trace_time(std::chrono::milliseconds(1'250)));
}

TEST(TraceInfo, WritesStatesAsMlflowDoes) {
    static_assert(mt::to_string(mt::trace_status::ok) == "OK");
    EXPECT_EQ(mt::to_string(mt::trace_status::error), "ERROR");
    EXPECT_EQ(mt::to_string(mt::trace_status::in_progress), "IN_PROGRESS");
    EXPECT_EQ(mt::to_string(mt::trace_status::unspecified), "STATE_UNSPECIFIED");
}

} // namespace
