// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/memory/forks.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <deque>
#include <pthread.h>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

namespace {

namespace mt = mlflow::trace;

// ThreadSanitizer ends a program in which a thread holds 64 locks.
TEST(forks, hold_few_locks_for_many_objects) {
    std::deque<mt::detail::shared_mutex> mutexes(200);
    std::set<pthread_mutex_t*> held;
    for (auto& each : mutexes) held.insert(each.native_handle());
    EXPECT_LE(held.size(), 8U);
}

TEST(forks, leave_many_tracers_usable_in_parent_and_child) {
    using tracer = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter>;
    std::deque<tracer> tracers(200);
    const auto record = [&] {
        std::size_t spans = 0;
        for (tracer& each : tracers) {
            each.start_trace("turn").end();
            spans += each.exporter().take().size();
        }
        return spans == tracers.size();
    };
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        ::_exit(record() ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(record());
}

} // namespace
