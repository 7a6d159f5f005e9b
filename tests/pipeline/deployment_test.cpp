// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

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

TEST(deployment, hides_no_error_of_what_is_inside) {
    const auto side = std::make_shared<mt::memory_server>();
    side->answer_with([](const auto&) -> mt::memory_server::reply { return mt::http_response{503, {}, "busy"}; });
    using inside = mt::retry<mt::mlflow_exporter<mt::memory_transport>>;
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::deployed<inside>>> tracer(
        {.exporter = {.exporter = {.exporter = {.exporter = {.transport = {side}}}}, .delay = 1ms}});
    static_cast<void>(tracer.start_trace("turn"));
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (tracer.last_error().empty() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
    EXPECT_NE(tracer.last_error().find("503"), std::string::npos) << tracer.last_error();
}

} // namespace
