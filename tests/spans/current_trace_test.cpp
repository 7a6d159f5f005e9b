// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/current_trace.hpp>

#include <gtest/gtest.h>

#include <thread>

namespace mt = mlflow::trace;

namespace {

using schema = mt::schema<mt::required<mt::user>, mt::optional<mt::session>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter>;
tracer_type::options quiet() {
    return {.on_error = [](void*, const mt::error&) noexcept {}};
}

TEST(current_trace, is_updated_by_code_that_does_not_know_the_tracer) {
    tracer_type traces(quiet());
    EXPECT_FALSE(mt::update_current_trace(mt::user{"nobody"}));
    EXPECT_FALSE(mt::current_trace_id().valid());
    {
        const auto trace = traces.start_trace("chat", mt::user{"user-1"});
        const auto span = traces.start_span("inner");
        EXPECT_EQ(mt::current_trace_id(), trace.trace_id());
        EXPECT_TRUE(mt::update_current_trace(mt::session{"session-1"}, mt::tag("key", "value"),
                                             mt::client_request_id{"request-1"}));
        EXPECT_FALSE(mt::update_current_trace(mt::user{"user-2"})) << "metadata is written once";
        std::thread([] { EXPECT_FALSE(mt::current_trace_id().valid()); }).join();
    }
    EXPECT_FALSE(mt::current_trace_id().valid());
    const auto recorded = traces.exporter().take().at(0);
    EXPECT_EQ(recorded.metadata["mlflow.trace.session"], "session-1");
    EXPECT_EQ(recorded.metadata["mlflow.trace.user"], "user-1");
    EXPECT_EQ(recorded.tags["key"], "value");
    EXPECT_EQ(recorded.client_request_id, "request-1");
}

TEST(current_trace, takes_no_key_that_the_schema_of_its_tracer_lacks) {
    tracer_type traces(quiet());
    const auto trace = traces.start_trace("chat", mt::anonymous);
    EXPECT_FALSE(mt::update_current_trace(mt::key<"app.segment">{"pro"}, mt::tag("after", "it")));
    EXPECT_EQ(traces.refused_values(), 1U);
}

TEST(current_trace, that_is_not_recorded_on_purpose_is_no_mistake) {
    tracer_type traces(quiet());
    const auto untraced = traces.untraced();
    EXPECT_TRUE(mt::update_current_trace(mt::user{"user-1"}));
    EXPECT_FALSE(mt::current_trace_id().valid());
}

} // namespace
