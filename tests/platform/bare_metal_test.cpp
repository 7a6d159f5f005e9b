// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/bare_metal.hpp>
#include <mlflow/trace/context/thread_local.hpp>
#include <mlflow/trace/exporters/memory.hpp>
#include <mlflow/trace/platform/bare_metal.hpp>

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

static_assert(!platform::has_random_trace_ids, "its board does not say so");

} // namespace
