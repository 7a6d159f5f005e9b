// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

namespace {

namespace mt = mlflow::trace;

TEST(deployment, is_on_every_trace_and_was_given_once) {
    using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::deployed<mt::memory_exporter>>;
    tracer_type tracer(
        {.exporter = {.deployment = {.environment = "production", .version = "1.4.0", .region = "eu-central-1"}}});
    {
        auto trace = tracer.start_trace("plain");
    }
    {
        auto trace = tracer.start_trace("says it itself");
        trace.set(mt::tag{"service.version", "canary"});
    }
    auto traces = tracer.exporter().exporter().take();
    ASSERT_EQ(traces.size(), 2U);
    for (auto& trace : traces) {
        EXPECT_EQ(trace.tags["deployment.environment.name"], "production");
        EXPECT_EQ(trace.tags["cloud.region"], "eu-central-1");
        EXPECT_FALSE(trace.tags.contains("host.name"));
    }
    EXPECT_EQ(traces.at(0).tags["service.version"], "1.4.0");
    EXPECT_EQ(traces.at(1).tags["service.version"], "canary");
}

} // namespace
