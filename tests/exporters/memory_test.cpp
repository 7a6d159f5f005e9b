// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/memory.hpp>

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace mt = mlflow::trace;

namespace {

using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter>;

TEST(memory_exporter, keeps_traces_until_they_are_taken) {
    tracer_type traces;
    EXPECT_TRUE(traces.exporter().take().empty());
    traces.start_trace("first").end();
    EXPECT_EQ(traces.exporter().traces().size(), 1U);
    EXPECT_EQ(traces.exporter().traces().size(), 1U) << "a copy";
    traces.start_trace("second").end();
    const auto taken = traces.exporter().take();
    ASSERT_EQ(taken.size(), 2U);
    EXPECT_EQ(taken[1].spans.at(0).name, "second");
    EXPECT_TRUE(traces.exporter().traces().empty());
    EXPECT_EQ(traces.account().exported, 2U);
}

TEST(memory_exporter, takes_traces_of_many_threads) {
    tracer_type traces;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int k = 0; k < 100; ++k) traces.start_trace("trace").end();
        });
    for (std::thread& each : threads) each.join();
    EXPECT_EQ(traces.exporter().take().size(), 400U);
}

} // namespace
