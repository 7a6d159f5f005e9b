// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/platform/cycle_clock.hpp>
#include <mlflow/trace/platform/hosted.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

#if defined(__x86_64__)
// The time-stamp counter. The kernel checks it while the system runs, and stops using it where it is not reliable.
struct time_stamp_counter {
    static std::uint64_t cycles() noexcept { return __builtin_ia32_rdtsc(); }
    static std::uint64_t nano() noexcept { return hosted_platform::monotonic_nano(); }
    static bool is_invariant() noexcept {
        unsigned a = 0;
        unsigned b = 0;
        unsigned c = 0;
        unsigned d = 0;
        if (!__get_cpuid(0x80000007U, &a, &b, &c, &d) || (d >> 8U & 1U) == 0) return false;
        std::FILE* const file = std::fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
        if (!file) return false;
        char name[8]{};
        const std::size_t size = std::fread(name, 1, sizeof name, file);
        std::fclose(file);
        return std::string_view(name, size) == "tsc\n";
    }
};
using cycle_counter_clock = cycle_clock<time_stamp_counter>;
#else
// The clock of the kernel is as fast, or nothing faster is known.
struct cycle_counter_clock {
    static std::uint64_t nano() noexcept { return hosted_platform::monotonic_nano(); }
    static constexpr bool counts_cycles() noexcept { return false; }
};
#endif

} // namespace detail

/// A platform whose monotonic clock counts processor cycles: a reading takes about half as long as that of the
/// kernel's clock. About once a second the kernel's clock corrects the time and the rate, which is the mean rate
/// since the start. Between corrections both differ by 1 µs for each ppm by which the kernel's rate differs from that
/// mean: at most 1 ms, because Linux slews its clock by at most 500 ppm (simulated). On an AMD EPYC whose clock was
/// not slewed, they differed by less than 0.3 µs for 90 s. Without an invariant time-stamp counter that the kernel
/// itself uses, and for the first 20 ms of a process, the kernel's clock is read.
///
/// Thread-safety: as `hosted_platform`. On one thread the clock never goes back. A time that was read on another
/// thread may be ahead by nanoseconds.
struct cycle_counter_platform : hosted_platform {
    /// Nanoseconds of a clock that never goes back.
    static std::uint64_t monotonic_nano() noexcept {
        const std::uint64_t now = clock_.nano();
        if (now > last_) last_ = now;
        return last_;
    }

    /// See `hosted_platform`.
    using owner_of_clocks = cycle_counter_platform;
    /// See `hosted_platform`.
    static std::uint64_t wall_minus_monotonic(std::uint64_t monotonic) noexcept { return difference_.at(monotonic); }

    /// Whether cycles are counted at present.
    [[nodiscard]] static bool counts_cycles() noexcept { return clock_.counts_cycles(); }

private:
    static inline constinit detail::cycle_counter_clock clock_{};
    static inline constinit thread_local std::uint64_t last_ = 0;
    static inline constinit thread_local detail::clock_difference<hosted_platform> difference_{};
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
