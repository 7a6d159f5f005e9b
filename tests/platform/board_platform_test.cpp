// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/platform/board_platform.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <string>

namespace mt = mlflow::trace;

namespace {

struct scripted_board {
    static inline std::deque<std::uint64_t> randoms;
    static inline int held = 0;
    static inline std::string reported;

    static std::uint64_t wall_nano() noexcept { return 7; }
    static std::uint64_t monotonic_nano() noexcept { return 8; }
    static std::uint64_t random() noexcept {
        const std::uint64_t next = randoms.front();
        randoms.pop_front();
        return next;
    }
    static void lock() noexcept { ++held; }
    static void unlock() noexcept { --held; }
    static void report(const mt::error& error) noexcept { reported = error.message(); }
};

struct even_board : scripted_board {
    static constexpr bool has_random_trace_ids = true;
};

using platform = mt::board_platform<scripted_board>;

TEST(BoardPlatform, AsksTheBoard) {
    EXPECT_EQ(platform::wall_nano(), 7U);
    EXPECT_EQ(platform::monotonic_nano(), 8U);
    platform::mutex::lock();
    EXPECT_EQ(scripted_board::held, 1);
    platform::mutex::unlock();
    EXPECT_EQ(scripted_board::held, 0);
    platform::report({mt::error_kind::empty, "mlflow.trace.user"});
    EXPECT_NE(scripted_board::reported.find("mlflow.trace.user"), std::string::npos);
}

TEST(BoardPlatform, AnIdIsNeverZero) {
    scripted_board::randoms = {0, 0, 0, 5, 0};
    EXPECT_EQ(platform::new_trace_id(), (mt::trace_id{1, 0}));
    EXPECT_EQ(platform::new_span_id(), (mt::span_id{1}));
    EXPECT_EQ(platform::new_trace_id(), (mt::trace_id{5, 0}));
}

TEST(BoardPlatform, RandomTraceIdsAreDeclaredByTheBoard) {
    EXPECT_FALSE(platform::has_random_trace_ids);
    EXPECT_TRUE(mt::board_platform<even_board>::has_random_trace_ids);
}

} // namespace
