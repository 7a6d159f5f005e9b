// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/platform/cycle_counter.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace mt = mlflow::trace;

namespace {

using platform = mt::cycle_counter_platform;
static_assert(mt::platform<platform>);

TEST(cycle_counter_platform, never_goes_back_on_a_thread_and_agrees_with_the_kernel) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; ++thread)
        threads.emplace_back([] {
            const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1'500);
            std::uint64_t last = platform::monotonic_nano();
            std::uint64_t nearest = ~std::uint64_t{0}; // a thread may be interrupted between both readings
            while (std::chrono::steady_clock::now() < end)
                for (int i = 0; i < 100; ++i) {
                    const std::uint64_t now = platform::monotonic_nano();
                    const std::uint64_t kernel = mt::hosted_platform::monotonic_nano();
                    ASSERT_GE(now, last);
                    last = now;
                    nearest = std::min(nearest, now < kernel ? kernel - now : now - kernel);
                }
            EXPECT_LT(nearest, 1'000'000U);
        });
    for (std::thread& thread : threads) thread.join();
#if defined(__x86_64__)
    EXPECT_EQ(platform::counts_cycles(), mt::detail::time_stamp_counter::is_invariant());
#else
    EXPECT_FALSE(platform::counts_cycles());
#endif
}

TEST(cycle_counter_platform, dates_spans) {
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, mt::record_all, platform> tracer;
    const std::uint64_t before = mt::hosted_platform::wall_nano();
    tracer.start_trace("turn").end();
    const std::uint64_t after = mt::hosted_platform::wall_nano();
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 1U);
    constexpr std::uint64_t slack = 5'000'000;
    EXPECT_GE(traces[0].spans.at(0).start_unix_nano + slack, before);
    EXPECT_LE(traces[0].spans.at(0).end_unix_nano, after + slack);
    EXPECT_LE(traces[0].spans.at(0).start_unix_nano, traces[0].spans.at(0).end_unix_nano);
}

} // namespace
