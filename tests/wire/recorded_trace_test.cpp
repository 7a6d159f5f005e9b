// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/wire/recorded_trace.hpp>

#include <gtest/gtest.h>

namespace mt = mlflow::trace;

namespace {

TEST(recorded_trace, has_all_that_was_recorded) {
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter> traces;
    mt::trace_id other{1, 2};
    {
        auto trace = traces.start_trace("root", mt::user{"user-1"}, mt::client_request_id{"request-1"});
        auto span = traces.start_span("child");
        span.attribute("text", "a").attribute("text", "b").attribute("flag", true).attribute("number", -7);
        span.event("moment", mt::arg("at", 3)).link(other, mt::span_id{9}, mt::arg("why", "cause"));
        span.set_status(mt::status::error, "reason");
    }
    const auto recorded = traces.exporter().take().at(0);
    EXPECT_TRUE(recorded.has_root);
    EXPECT_EQ(recorded.client_request_id, "request-1");
    EXPECT_EQ(recorded.metadata["mlflow.trace.user"], "user-1");
    ASSERT_NE(recorded.root(), nullptr);
    EXPECT_EQ(recorded.root()->name, "root");
    EXPECT_FALSE(recorded.root()->parent.valid());
    const mt::recorded_span* const child = recorded.find("child");
    ASSERT_NE(child, nullptr);
    EXPECT_EQ(child->parent, recorded.root_id);
    EXPECT_EQ(child->attributes["text"], "b") << "the last one, as MLflow reads it";
    EXPECT_EQ(child->attributes["flag"], "true");
    EXPECT_EQ(child->attributes["number"], "-7");
    EXPECT_EQ(child->attributes["none"], "");
    EXPECT_TRUE(child->attributes.contains("text"));
    EXPECT_FALSE(child->attributes.contains("none"));
    ASSERT_EQ(child->events.size(), 1U);
    EXPECT_EQ(child->events[0].attributes["at"], "3");
    EXPECT_GE(child->events[0].unix_nano, child->start_unix_nano);
    EXPECT_LE(child->events[0].unix_nano, child->end_unix_nano);
    ASSERT_EQ(child->links.size(), 1U);
    EXPECT_EQ(child->links[0].trace_id, other);
    EXPECT_EQ(child->links[0].id, mt::span_id{9});
    EXPECT_EQ(child->links[0].attributes["why"], "cause");
    EXPECT_EQ(child->code, mt::status::error);
    EXPECT_EQ(child->status_message, "reason");
    EXPECT_EQ(recorded.find("none"), nullptr);
}

TEST(recorded_trace, of_spans_after_the_root_has_no_root) {
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter> traces;
    auto trace = traces.start_trace("root");
    auto late = trace.start_span("late");
    trace.end();
    late.end();
    const auto parts = traces.exporter().take();
    ASSERT_EQ(parts.size(), 2U);
    EXPECT_FALSE(parts[1].has_root);
    EXPECT_EQ(parts[1].id, parts[0].id);
    EXPECT_EQ(parts[1].root(), nullptr);
    ASSERT_NE(parts[1].find("late"), nullptr);
    EXPECT_EQ(parts[1].find("late")->parent, parts[0].root_id);
}

TEST(recorded_trace, decoded_of_nothing_is_empty) {
    const mt::trace_data nothing;
    const auto decoded = mt::decode(nothing);
    EXPECT_FALSE(decoded.id.valid());
    EXPECT_TRUE(decoded.spans.empty());
    EXPECT_EQ(decoded.root(), nullptr);
}

} // namespace
