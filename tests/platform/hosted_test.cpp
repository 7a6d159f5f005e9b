// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/platform/hosted.hpp>

#include <gtest/gtest.h>

#include <cstdint>

namespace mt = mlflow::trace;

namespace {

TEST(hosted_platform, has_clocks_of_which_one_never_goes_back) {
    constexpr std::uint64_t in_2020 = 1'577'836'800'000'000'000;
    EXPECT_GT(mt::hosted_platform::wall_nano(), in_2020);
    std::uint64_t last = mt::hosted_platform::monotonic_nano();
    for (int i = 0; i < 1'000; ++i) {
        const std::uint64_t now = mt::hosted_platform::monotonic_nano();
        EXPECT_GE(now, last);
        last = now;
    }
}

TEST(hosted_platform, makes_ids_that_are_valid_and_distinct) {
    EXPECT_TRUE(mt::hosted_platform::new_span_id().valid());
    EXPECT_NE(mt::hosted_platform::new_span_id(), mt::hosted_platform::new_span_id());
    EXPECT_NE(mt::hosted_platform::new_trace_id(), mt::hosted_platform::new_trace_id());
}

// What the flag `random-trace-id` promises: "selected randomly … with uniform distribution" over the last 7 bytes.
TEST(hosted_platform, the_last_bytes_of_a_trace_id_are_random) {
    static_assert(mt::hosted_platform::has_random_trace_ids);
    constexpr int ids = 100'000;
    int set[64]{}, both[64]{}; // each bit, and together with the next one
    for (int i = 0; i < ids; ++i) {
        const std::uint64_t low = mt::hosted_platform::new_trace_id().low;
        for (unsigned bit = 0; bit < 56; ++bit) {
            set[bit] += static_cast<int>(low >> bit & 1U);
            both[bit] += static_cast<int>(low >> bit & low >> (bit + 1) & 1U);
        }
    }
    for (int bit = 0; bit < 56; ++bit) { // over six standard deviations
        EXPECT_NEAR(set[bit], ids / 2, 1'000) << bit;
        EXPECT_NEAR(both[bit], ids / 4, 1'000) << bit;
    }
}

// Somebody sets the clock while a trace is open, back by an hour or ahead.
struct jumping_clock : mt::hosted_platform {
    static inline std::uint64_t wall = 0;
    static inline std::uint64_t ticks = 0;
    static std::uint64_t wall_nano() noexcept { return wall; }
    static std::uint64_t monotonic_nano() noexcept { return ++ticks; }
};

TEST(hosted_platform, AClockThatIsSetLeavesDurationsAndOrderAlone) {
    constexpr std::uint64_t hour = 3'600'000'000'000;
    constexpr std::uint64_t now = 500'000 * hour;
    for (const std::uint64_t set_to : {now - hour, now + hour, std::uint64_t{0}}) {
        jumping_clock::wall = now;
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, mt::record_all, jumping_clock> set;
        {
            const auto root = set.start_trace("turn");
            {
                const auto before = set.start_span("before");
                jumping_clock::wall = set_to;
            }
            const auto after = set.start_span("after");
        }
        const auto traces = set.exporter().take();
        ASSERT_EQ(traces.size(), 1U);
        ASSERT_EQ(traces[0].spans.size(), 3U);
        for (const auto& span : traces[0].spans) {
            EXPECT_LT(span.start_unix_nano, span.end_unix_nano) << span.name;
            EXPECT_LT(span.end_unix_nano - span.start_unix_nano, 10U) << span.name;
            EXPECT_GE(span.start_unix_nano, now) << span.name;
        }
    }
}

TEST(hosted_platform, ManyTracesInAMillisecondAreDatedByTheWallClock) {
    constexpr std::uint64_t millisecond = 1'000'000;
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, mt::record_all, mt::hosted_platform>
        hosted;
    const std::uint64_t begin = mt::hosted_platform::wall_nano();
    while (mt::hosted_platform::wall_nano() < begin + 5 * millisecond) {
        const std::uint64_t before = mt::hosted_platform::wall_nano();
        {
            const auto root = hosted.start_trace("turn");
        }
        const std::uint64_t after = mt::hosted_platform::wall_nano();
        const auto traces = hosted.exporter().take();
        ASSERT_EQ(traces.size(), 1U);
        EXPECT_GE(traces[0].spans.at(0).start_unix_nano, before - millisecond);
        EXPECT_LE(traces[0].spans.at(0).start_unix_nano, after + millisecond);
    }
}

} // namespace
