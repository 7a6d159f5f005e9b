// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <utility>

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
    while (tracer.last_error().message().empty() && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(1ms);
    EXPECT_NE(tracer.last_error().message().find("503"), std::string::npos) << tracer.last_error().message();
}

// Takes nothing until it is opened, and keeps what it takes.
struct gate {
    std::atomic<bool> is_open{false};
    mt::memory_exporter taken;
};
struct exporter_behind_gate {
    struct options {
        std::shared_ptr<gate> at{};
    };
    explicit exporter_behind_gate(options chosen) noexcept : at(std::move(chosen.at)) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        at->is_open.wait(false);
        for (const mt::trace_data& trace : batch) packed += trace.block ? 1U : 0U;
        return at->taken.export_traces(batch);
    }
    std::shared_ptr<gate> at;
    std::size_t packed = 0;
};

TEST(deployment, is_on_traces_that_waited_long) {
    const auto at = std::make_shared<gate>();
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::deployed<exporter_behind_gate>>> tracer(
        {.exporter = {.exporter = {.exporter = {at}, .deployment = {.environment = std::string(200, 'p')}},
                      .max_queue_bytes = 4'000'000,
                      .max_batch_spans = 50,
                      .delay = 1ms}});
    for (int i = 0; i < 2'000; ++i) tracer.start_trace("turn", mt::user{"user-1042"}, mt::tag("n", "x")).end();
    at->is_open = true;
    at->is_open.notify_all();
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, 2'000U);
    EXPECT_GT(tracer.get<exporter_behind_gate>().packed, 100U);
    const auto traces = at->taken.take();
    ASSERT_EQ(traces.size(), 2'000U);
    for (const auto& trace : traces) {
        EXPECT_EQ(trace.tags["deployment.environment.name"], std::string(200, 'p'));
        EXPECT_EQ(trace.tags["n"], "x");
        EXPECT_EQ(trace.metadata["mlflow.trace.user"], "user-1042");
    }
}

} // namespace
