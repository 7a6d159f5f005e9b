// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/interval.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/platform/id_generator.hpp>

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// How far the wall clock of a platform is ahead of its monotonic clock, as a thread has read it within the last
// millisecond.
template <class Clocks>
class clock_difference {
public:
    std::uint64_t at(std::uint64_t monotonic) noexcept {
        constexpr std::uint64_t longest = 1'000'000;
        if (monotonic - read_at_ > longest) {
            read_at_ = monotonic;
            nano_ = Clocks::wall_nano() - monotonic;
        }
        return nano_;
    }

private:
    std::uint64_t read_at_ = 0;
    std::uint64_t nano_ = 0;
};

} // namespace detail

/// The platform policy for Linux and other POSIX systems.
///
/// Thread-safety: all functions may be called from any thread.
struct hosted_platform {
    /// Nanoseconds since 1970-01-01 UTC.
    static std::uint64_t wall_nano() noexcept { return read(CLOCK_REALTIME); }
    /// Nanoseconds of a clock that never goes back.
    static std::uint64_t monotonic_nano() noexcept { return read(CLOCK_MONOTONIC); }

    /// How far the wall clock is ahead, as this thread read it within the last millisecond. Reading the second clock
    /// would take a tenth of the time of a root span. Not used for a derived platform, which may have other clocks.
    using owner_of_clocks = hosted_platform;
    /// See `owner_of_clocks`. In nanoseconds.
    static std::uint64_t wall_minus_monotonic(std::uint64_t monotonic) noexcept { return difference_.at(monotonic); }

    /// See `platform` in concepts.hpp.
    static constexpr bool has_random_trace_ids = true;
    /// A new random ID, never zero.
    static trace_id new_trace_id() noexcept {
        trace_id id{generator_.next(), generator_.next()};
        if (!id.valid()) id.low = 1;
        return id;
    }
    /// A new random ID, never zero.
    static span_id new_span_id() noexcept {
        const std::uint64_t value = generator_.next();
        return {value ? value : 1};
    }

    /// The lock type of the library.
    using mutex = detail::machine::mutex;

    /// Writes the error to standard error, at most one line every 30 s, so that repeated errors do not flood the log.
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
        detail::guarded(write, [] {}); // memory may have run out
    }

private:
    static std::uint64_t read(clockid_t clock) noexcept {
        timespec now{};
        clock_gettime(clock, &now);
        return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
    }

    static inline constinit thread_local detail::clock_difference<hosted_platform> difference_{};
    static inline constinit thread_local detail::id_generator generator_{};
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
