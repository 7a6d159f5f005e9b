// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/bare_metal.hpp>
#include <mlflow/trace/context/thread_local.hpp>
#include <mlflow/trace/exporters/memory.hpp>
#include <mlflow/trace/platform/hosted.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace mt = mlflow::trace;

namespace {

// A board that counts what is asked of it. The memory stays the process's: this build has a heap.
struct counting_board {
    static inline std::uint64_t ticks = 0;
    static inline std::uint64_t randoms = 0;
    static inline int locks = 0;
    static inline int held = 0;
    static inline std::vector<std::string> reports;

    static std::uint64_t wall_nano() noexcept { return 1'000'000'000 + ticks; }
    static std::uint64_t monotonic_nano() noexcept { return ticks += 10; }
    static std::uint64_t random() noexcept { return randoms++; } // 0 is no valid ID
    static void lock() noexcept {
        ++locks;
        ++held;
    }
    static void unlock() noexcept { --held; }
    static void* reallocate(void* block, std::size_t size) noexcept { return std::realloc(block, size); }
    static void report(const mt::error& error) noexcept { reports.push_back(error.message()); }
};

struct one_at_a_time : mt::memory_exporter {
    using memory_exporter::memory_exporter;
    static constexpr bool is_thread_safe = false;
};

using platform = mt::bare_metal_platform<counting_board>;
using tracer = mt::tracer<mt::open_schema, mt::global_context, one_at_a_time, mt::record_all, platform>;

TEST(BareMetalPlatform, TakesClocksIdsLockAndReportFromTheBoard) {
    tracer recording;
    mt::span_id root;
    {
        auto trace = recording.start_trace("turn", mt::user{"user-1042"});
        root = trace.id();
        EXPECT_TRUE(trace.trace_id().valid());
        EXPECT_TRUE(root.valid());
        auto span = recording.start_span("inner");
        EXPECT_EQ(span.trace_id(), trace.trace_id()) << "the global context nests spans";
        EXPECT_FALSE(trace.set(mt::user{"user-1043"}));
    }
    EXPECT_GT(counting_board::locks, 0) << "exporting takes the board's lock";
    EXPECT_EQ(counting_board::held, 0);
    ASSERT_EQ(counting_board::reports.size(), 1U);
    EXPECT_NE(counting_board::reports[0].find("mlflow.trace.user"), std::string::npos);
    const auto traces = recording.exporter().take();
    ASSERT_EQ(traces.size(), 1U);
    ASSERT_EQ(traces[0].spans.size(), 2U);
    for (const auto& span : traces[0].spans) {
        EXPECT_LT(span.start_unix_nano, span.end_unix_nano);
        EXPECT_LT(span.end_unix_nano, 2'000'000'000U) << "not the system's clock";
    }
}

TEST(BareMetalPlatform, NeverMakesAnInvalidId) {
    counting_board::randoms = 0;
    EXPECT_TRUE(platform::new_span_id().valid());
    counting_board::randoms = 0;
    EXPECT_TRUE(platform::new_trace_id().valid());
}

TEST(Platform, AnOwnHandlerOfErrorsComesBeforeThePlatforms) {
    counting_board::reports.clear();
    std::vector<std::string> told;
    tracer::options options;
    options.error_context = &told;
    options.on_error = [](void* context, const mt::error& error) noexcept {
        static_cast<std::vector<std::string>*>(context)->push_back(std::string(error.about()));
    };
    tracer recording(options);
    EXPECT_FALSE(recording.update_current_trace(mt::user{"user-1042"}));
    EXPECT_EQ(told.size(), 1U);
    EXPECT_TRUE(counting_board::reports.empty());
}

// Somebody sets the clock while a trace is open, back by an hour or ahead.
// What the flag `random-trace-id` promises: "selected randomly … with uniform distribution" over the last 7 bytes.
TEST(platform, the_last_bytes_of_a_trace_id_are_random) {
    static_assert(mt::hosted_platform::has_random_trace_ids);
    static_assert(!platform::has_random_trace_ids, "its board does not say so");
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

struct jumping_clock : mt::hosted_platform {
    static inline std::uint64_t wall = 0;
    static inline std::uint64_t ticks = 0;
    static std::uint64_t wall_nano() noexcept { return wall; }
    static std::uint64_t monotonic_nano() noexcept { return ++ticks; }
};

TEST(Platform, AClockThatIsSetLeavesDurationsAndOrderAlone) {
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

TEST(Platform, ManyTracesInAMillisecondAreDatedByTheWallClock) {
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
