// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/memory/owner.hpp>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <pthread.h>
#include <system_error>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// std::condition_variable and std::thread of a POSIX system, as far as they are needed here. <condition_variable> and
// <thread> cost every user 9,000 and 6,000 lines more.

// Waits by the clock that std::chrono::steady_clock reads.
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
    // What `done` says at the end.
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
        if (until.count() < 0) until = {}; // a time before 0 is none of POSIX
        const auto whole = duration_cast<seconds>(until);
        timespec time{};
        time.tv_sec = static_cast<std::time_t>(whole.count());
        time.tv_nsec = static_cast<long>(nanoseconds(until - whole).count());
        return pthread_cond_timedwait(&condition_, guard.mutex().native_handle(), &time) == ETIMEDOUT;
    }

    pthread_cond_t condition_;
};

[[noreturn]] inline void throw_system_error(int code, [[maybe_unused]] const char* what) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    throw std::system_error(code, std::generic_category(), what);
#else
    static_cast<void>(code);
    std::abort();
#endif
}

// A thread that is joined or detached before this object ends, or else the program ends. Thread-safety: as `int`.
class thread {
public:
    thread() noexcept = default;
    // Throws std::system_error where the system starts no more.
    template <class Run>
    explicit thread(Run run) {
        owner<Run> passed(new Run(std::move(run)));
        if (const int code = pthread_create(&handle_, nullptr, &enter<Run>, passed.get()); code != 0)
            throw_system_error(code, "no thread can be started");
        static_cast<void>(passed.release()); // to the thread
        is_joinable_ = true;
    }
    thread(thread&& other) noexcept
        : handle_(other.handle_), is_joinable_(std::exchange(other.is_joinable_, false)) {}
    thread& operator=(thread&& other) noexcept {
        if (is_joinable_) std::terminate();
        handle_ = other.handle_;
        is_joinable_ = std::exchange(other.is_joinable_, false);
        return *this;
    }
    ~thread() {
        if (is_joinable_) std::terminate();
    }

    [[nodiscard]] bool joinable() const noexcept { return is_joinable_; }
    void join() noexcept {
        pthread_join(handle_, nullptr);
        is_joinable_ = false;
    }
    void detach() noexcept {
        pthread_detach(handle_);
        is_joinable_ = false;
    }

private:
    template <class Run>
    static void* enter(void* passed) {
        const owner<Run> run(static_cast<Run*>(passed));
        (*run)();
        return nullptr;
    }

    pthread_t handle_{};
    bool is_joinable_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
