// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/platform/threads.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <pthread.h>
#include <system_error>
#include <utility>

namespace {

using namespace mlflow::trace::detail;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct gate {
    machine::mutex lock;
    condition opened;
    bool is_open = false;

    void open() {
        const lock_guard guard(lock); // also of the gate's own end
        is_open = true;
        opened.notify_all();
    }
    bool wait_until(steady_clock::time_point deadline) {
        unique_lock guard(lock);
        return opened.wait_until(guard, deadline, [this] { return is_open; });
    }
};

TEST(condition_test, waits_for_a_notification) {
    gate gate;
    thread opening([&] { gate.open(); });
    {
        unique_lock guard(gate.lock);
        gate.opened.wait(guard, [&] { return gate.is_open; });
        EXPECT_TRUE(gate.is_open);
    }
    opening.join();
}

TEST(condition_test, a_notification_ends_a_wait_with_a_deadline) {
    gate gate;
    thread opening([&] { gate.open(); });
    EXPECT_TRUE(gate.wait_until(steady_clock::now() + std::chrono::hours(1)));
    opening.join();
}

TEST(condition_test, waits_until_the_deadline_of_the_steady_clock) {
    gate gate;
    const auto deadline = steady_clock::now() + milliseconds(30);
    EXPECT_FALSE(gate.wait_until(deadline));
    EXPECT_GE(steady_clock::now(), deadline);
}

TEST(condition_test, deadlines_in_the_past_do_not_wait) {
    gate gate;
    const auto start = steady_clock::now();
    EXPECT_FALSE(gate.wait_until(start));
    EXPECT_FALSE(gate.wait_until(start - std::chrono::hours(24 * 365 * 100))); // before the clock's zero
    EXPECT_FALSE(gate.wait_until(steady_clock::time_point::min()));
    EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(condition_test, the_latest_deadline_can_be_waited_for) {
    gate gate;
    thread opening([&] { gate.open(); });
    EXPECT_TRUE(gate.wait_until(steady_clock::time_point::max()));
    opening.join();
}

TEST(thread_test, runs_once_and_frees_what_it_was_given) {
    const auto held = std::make_shared<int>(0);
    thread running([copy = held] { ++*copy; });
    EXPECT_TRUE(running.joinable());
    running.join();
    EXPECT_FALSE(running.joinable());
    EXPECT_EQ(*held, 1);
    EXPECT_EQ(held.use_count(), 1);
}

TEST(thread_test, can_be_moved_and_detached) {
    gate gate;
    thread first([&] { gate.open(); });
    thread second(std::move(first));
    EXPECT_FALSE(first.joinable());
    first = std::move(second);
    EXPECT_TRUE(first.joinable());
    first.detach();
    EXPECT_FALSE(first.joinable());
    EXPECT_TRUE(gate.wait_until(deadline_after(std::chrono::seconds(60))));
}

TEST(thread_death_test, ends_the_program_where_nobody_joins) {
    EXPECT_DEATH({ const thread left([] {}); }, "");
}

#if defined(__GLIBC__) && MLFLOW_TRACE_HAS_EXCEPTIONS
TEST(thread_test, throws_what_the_system_says_where_no_thread_starts) {
    pthread_attr_t usual;
    ASSERT_EQ(pthread_getattr_default_np(&usual), 0);
    pthread_attr_t greedy;
    pthread_attr_init(&greedy);
    pthread_attr_setstacksize(&greedy, std::size_t{1} << 50U); // more than there are addresses
    ASSERT_EQ(pthread_setattr_default_np(&greedy), 0);
    const auto held = std::make_shared<int>(0);
    try {
        thread never([copy = held] { ++*copy; });
        never.join();
        ADD_FAILURE() << "it was started";
    } catch (const std::system_error& thrown) {
        EXPECT_EQ(thrown.code(), std::errc::resource_unavailable_try_again);
    }
    pthread_setattr_default_np(&usual);
    pthread_attr_destroy(&greedy);
    pthread_attr_destroy(&usual);
    EXPECT_EQ(*held, 0);
    EXPECT_EQ(held.use_count(), 1);
}
#endif

} // namespace
