// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/interval.hpp>
#include <mlflow/trace/memory/forks.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <bit>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <sys/random.h>
#include <unistd.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// xoshiro256++ 1.0 by Blackman and Vigna (public domain, https://prng.di.unimi.it/): IDs need no secrecy, only to be
// distinct over all processes, which the 256 bits of seed from the kernel give.
class id_generator {
public:
    std::uint64_t next() noexcept {
        if (seeded_in_ != fork_counter().load(memory_order_relaxed)) [[unlikely]]
            seed();
        const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
        const std::uint64_t shifted = state_[1] << 17U;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

private:
    __attribute__((noinline)) void seed() noexcept {
        seeded_in_ = fork_count(); // 0 means "never seeded"
        if (getrandom(state_, sizeof state_, GRND_NONBLOCK) == static_cast<ssize_t>(sizeof state_)) return;
        // Early at boot the kernel may have no entropy yet: mix what tells this thread from all others.
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        std::uint64_t mixed = static_cast<std::uint64_t>(now.tv_nsec) ^
                              static_cast<std::uint64_t>(now.tv_sec) << 30U ^
                              static_cast<std::uint64_t>(getpid()) << 48U ^
                              static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(this));
        for (std::uint64_t& word : state_) { // splitmix64, as the authors of xoshiro advise
            mixed += 0x9e3779b97f4a7c15U;
            std::uint64_t z = mixed;
            z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
            z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
            word = z ^ (z >> 31U);
        }
    }

    std::uint64_t state_[4]{};
    std::uint32_t seeded_in_ = 0;
};

struct clock_difference {
    std::uint64_t read_at = 0;
    std::uint64_t nano = 0;
};

} // namespace detail

/// Linux and other POSIX systems. Thread-safe.
struct hosted_platform {
    /// Nanoseconds since 1970-01-01 UTC.
    static std::uint64_t wall_nano() noexcept { return read(CLOCK_REALTIME); }
    /// Nanoseconds of a clock that never goes back.
    static std::uint64_t monotonic_nano() noexcept { return read(CLOCK_MONOTONIC); }

    // How far ahead the wall clock is, as this thread saw it in the last millisecond: the second clock costs a root
    // a tenth of its time. Not for a platform that derives from this one, whose clocks may be others.
    using owner_of_clocks = hosted_platform;
    static std::uint64_t wall_minus_monotonic(std::uint64_t monotonic) noexcept {
        constexpr std::uint64_t longest = 1'000'000;
        if (monotonic - difference_.read_at > longest) difference_ = {monotonic, wall_nano() - monotonic};
        return difference_.nano;
    }

    static constexpr bool has_random_trace_ids = true;
    static trace_id new_trace_id() noexcept {
        trace_id id{generator_.next(), generator_.next()};
        if (!id.valid()) id.low = 1;
        return id;
    }
    static span_id new_span_id() noexcept {
        const std::uint64_t value = generator_.next();
        return {value ? value : 1};
    }

    using mutex = detail::machine::mutex;

    /// A line on standard error, at most one per half minute: an error in every request must not flood the log.
    static void report(const error& error) noexcept {
        constexpr std::int64_t pause = 30'000'000'000;
        static constinit detail::interval lines;
        static constinit detail::atomic<std::uint64_t> unsaid{0};
        if (!lines.is_due(static_cast<std::int64_t>(monotonic_nano()), pause)) {
            unsaid.fetch_add(1, detail::memory_order_relaxed);
            return;
        }
        const auto skipped = unsaid.exchange(0, detail::memory_order_relaxed);
        const auto write = [&] {
            std::string line = "mlflow_trace: " + error.message();
            if (skipped) line += " (and " + std::to_string(skipped) + " more since the last line)";
            line += '\n';
            std::fputs(line.c_str(), stderr);
        };
        detail::guarded(write, [] {}); // there may be no memory to complain with
    }

private:
    static std::uint64_t read(clockid_t clock) noexcept {
        timespec now{};
        clock_gettime(clock, &now);
        return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
    }

    static inline constinit thread_local detail::clock_difference difference_{};
    static inline constinit thread_local detail::id_generator generator_{};
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
