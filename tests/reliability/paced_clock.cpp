// SPDX-License-Identifier: Apache-2.0
// Stands before functions of the C library, of the same names.
#include "paced_clock.hpp"

#include <atomic>
#include <ctime>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// In nanoseconds. After `since`, by when it was `ahead` of time, the clock runs `pace` times as fast.
struct state {
    std::int64_t since = 0;
    std::int64_t ahead = 0;
    std::int64_t pace = 1;

    [[nodiscard]] std::int64_t ahead_at(std::int64_t real) const { return ahead + (real - since) * (pace - 1); }
};
constinit const state at_first;
constinit std::atomic<const state*> current{&at_first};

std::int64_t in_nano(const timespec& time) { return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec; }
timespec in_timespec(std::int64_t nano) { return {nano / 1'000'000'000, nano % 1'000'000'000}; }

std::int64_t real_nano(clockid_t clock) {
    timespec time{};
    ::syscall(SYS_clock_gettime, clock, &time);
    return in_nano(time);
}

bool is_of_cpu(clockid_t clock) {
    return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID || clock < 0;
}

// When the clock as it runs will be there.
timespec real_time_of(clockid_t clock, const timespec& until) {
    const state& paced = *current.load();
    const std::int64_t real = real_nano(clock);
    const std::int64_t left = in_nano(until) - real - paced.ahead_at(real_nano(CLOCK_MONOTONIC));
    return in_timespec(real + (left > 0 ? left / paced.pace : 0));
}

} // namespace

void run_clock(std::int64_t pace) {
    const std::int64_t real = real_nano(CLOCK_MONOTONIC);
    current =
        new state{real, current.load()->ahead_at(real), pace}; // kept: another thread may be reading the last one
}

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
    const std::int64_t ahead = is_of_cpu(clock) ? 0 : current.load()->ahead_at(real_nano(CLOCK_MONOTONIC));
    *time = in_timespec(real_nano(clock) + ahead);
    return 0;
}

int nanosleep(const timespec* asked, timespec* rest) {
    const timespec real = in_timespec(in_nano(*asked) / current.load()->pace);
    return static_cast<int>(::syscall(SYS_nanosleep, &real, rest));
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
    static const auto next = reinterpret_cast<decltype(&pthread_cond_clockwait)>(::dlsym(RTLD_NEXT, __func__));
    const timespec real_until = real_time_of(clock, *until);
    return next(condition, mutex, clock, &real_until);
}
// By the clock of the condition, which is that of the library: CLOCK_MONOTONIC.
int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* until) {
    static const auto next = reinterpret_cast<decltype(&pthread_cond_timedwait)>(::dlsym(RTLD_NEXT, __func__));
    const timespec real_until = real_time_of(CLOCK_MONOTONIC, *until);
    return next(condition, mutex, &real_until);
}
}
