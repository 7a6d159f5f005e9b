// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cerrno>
#include <ctime>
#include <pthread.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The part of std::condition_variable that the library needs, for POSIX. Uses the clock of std::chrono::steady_clock.
// <condition_variable> would add 9,000 preprocessed lines.
class condition {
public:
    condition() noexcept {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&condition_, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    condition(const condition&) = delete;
    condition& operator=(const condition&) = delete;
    ~condition() { pthread_cond_destroy(&condition_); }

    void notify_one() noexcept { pthread_cond_signal(&condition_); }
    void notify_all() noexcept { pthread_cond_broadcast(&condition_); }

    template <class Done>
    void wait(unique_lock<machine::mutex>& guard, Done done) {
        while (!done()) pthread_cond_wait(&condition_, guard.mutex().native_handle());
    }
    // Returns the final result of `done`.
    template <class Done>
    bool wait_until(unique_lock<machine::mutex>& guard, std::chrono::steady_clock::time_point deadline, Done done) {
        while (!done())
            if (is_over(guard, deadline)) return done();
        return true;
    }

private:
    bool is_over(unique_lock<machine::mutex>& guard, std::chrono::steady_clock::time_point deadline) {
        using namespace std::chrono;
        auto until = deadline.time_since_epoch();
        if (until.count() < 0) until = {}; // POSIX has no times before 0
        const auto whole = duration_cast<seconds>(until);
        timespec time{};
        time.tv_sec = static_cast<std::time_t>(whole.count());
        time.tv_nsec = static_cast<long>(nanoseconds(until - whole).count());
        return pthread_cond_timedwait(&condition_, guard.mutex().native_handle(), &time) == ETIMEDOUT;
    }

    pthread_cond_t condition_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
