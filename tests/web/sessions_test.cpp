// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/metadata/check.hpp>
#include <mlflow/trace/platform/hosted.hpp>
#include <mlflow/trace/web/sessions.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

// The hosted platform with a clock that moves when the test says so.
struct stepped_platform : mt::hosted_platform {
    static inline std::uint64_t now = 0;
    static std::uint64_t monotonic_nano() noexcept { return now; }
    static void step(std::chrono::nanoseconds by) { now += static_cast<std::uint64_t>(by.count()); }
};
using sessions = mt::sessions<stepped_platform>;

TEST(sessions, go_on_while_they_are_used) {
    sessions known({.idle_timeout = 30min});
    const auto first = known.current("user-1");
    for (int i = 0; i < 5; ++i) {
        stepped_platform::step(29min);
        EXPECT_EQ(known.current("user-1"), first);
    }
    EXPECT_NE(known.current("user-2"), first);
    EXPECT_EQ(known.size(), 2U);
}

TEST(sessions, end_when_idle) {
    sessions known({.idle_timeout = 30min});
    const auto first = known.current("user-1");
    stepped_platform::step(30min);
    EXPECT_EQ(known.size(), 0U);
    EXPECT_NE(known.current("user-1"), first);
}

TEST(sessions, end_when_told) {
    sessions known;
    const auto first = known.current("user-1");
    EXPECT_TRUE(known.end("user-1"));
    EXPECT_FALSE(known.end("user-1"));
    EXPECT_NE(known.current("user-1"), first);
}

TEST(sessions, are_no_more_than_allowed) {
    sessions known({.max_sessions = 2});
    const auto first = known.current("user-1");
    const auto second = known.current("user-2");
    EXPECT_EQ(known.current("user-1"), first);
    static_cast<void>(known.current("user-3")); // ends user-2's, which was idle longest
    EXPECT_EQ(known.size(), 2U);
    EXPECT_EQ(known.current("user-1"), first);
    EXPECT_NE(known.current("user-2"), second);
}

TEST(sessions, are_the_same_for_all_threads) {
    mt::sessions<mt::hosted_platform> known;
    std::vector<std::set<std::string>> seen(8);
    std::vector<std::thread> threads;
    for (auto& own : seen)
        threads.emplace_back([&known, &own] {
            for (int i = 0; i < 1'000; ++i) {
                const auto id = known.current("user-" + std::to_string(i % 10));
                own.emplace(id.view());
            }
        });
    for (auto& thread : threads) thread.join();
    for (const auto& own : seen) EXPECT_EQ(own, seen.front());
    EXPECT_EQ(seen.front().size(), 10U);
}

// RFC 9562, appendix A.6.
TEST(uuid_v7, is_written_as_the_standard_shows) {
    EXPECT_EQ(mt::uuid_v7(0x017F22E279B0, 0xCC3, 0x18C4DC0C0C07398F).view(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    EXPECT_EQ(mt::uuid_v7(~0ULL, ~0ULL, ~0ULL).view(), "ffffffff-ffff-7fff-bfff-ffffffffffff");
}

struct fixed_platform : mt::hosted_platform {
    static inline std::uint64_t now = 0;
    static std::uint64_t wall_nano() noexcept { return now; }
};

TEST(uuid_v7, sorts_by_time_and_is_not_repeated) {
    std::set<std::string> all;
    std::string last;
    for (fixed_platform::now = 1'645'557'742'000'000'000; all.size() < 10'000; fixed_platform::now += 250) {
        const std::string id(mt::new_uuid_v7<fixed_platform>().view());
        ASSERT_TRUE(mt::uuid::allows(id));
        EXPECT_LE(last.substr(0, 18), id.substr(0, 18)); // milliseconds and their fraction
        last = id;
        ASSERT_TRUE(all.insert(id).second);
    }
}

} // namespace
