// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cstdint>

#ifdef __SIZEOF_INT128__

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A clock that counts processor cycles between readings of another clock, about one a second. `Source` has
// `std::uint64_t cycles()`; `std::uint64_t nano()`, a clock that never goes back; and `bool is_invariant()`, whether
// the cycles of all processors run at one constant rate.
//
// Each reading corrects the rate, so that the time does not go back: what it is ahead is made up for in the seconds
// that follow. If the cycles turn out to be no clock, the other clock is read from then on.
template <class Source>
class cycle_clock {
public:
    constexpr cycle_clock() noexcept = default;

    [[nodiscard]] std::uint64_t nano() noexcept {
        while (true) {
            const std::uint32_t number = current_.load(memory_order_acquire);
            if (number < first_anchor) [[unlikely]]
                return without_anchor(number);
            const anchor& at = anchors_[number % 2];
            const std::uint64_t began_at = at.cycles.load(memory_order_acquire);
            const std::uint64_t began_nano = at.nano.load(memory_order_acquire);
            const std::uint64_t rate = at.rate.load(memory_order_acquire);
            const std::uint64_t longest = at.longest.load(memory_order_acquire);
            const std::uint64_t cycles = Source::cycles();
            if (current_.load(memory_order_relaxed) != number) continue; // another thread has set a new anchor
            const bool is_behind = static_cast<std::int64_t>(cycles - began_at) < 0; // on another processor
            const std::uint64_t since = is_behind ? 0 : cycles - began_at;
            const std::uint64_t estimated = began_nano + nano_in(since, rate);
            if (since > longest || is_behind) [[unlikely]]
                correct(cycles, estimated);
            return estimated;
        }
    }

    // Whether cycles are counted.
    [[nodiscard]] bool counts_cycles() const noexcept { return current_.load(memory_order_relaxed) >= first_anchor; }

private:
    // The values of `current_` before there is an anchor.
    static constexpr std::uint32_t unused = 0;
    static constexpr std::uint32_t reads_source = 1;
    static constexpr std::uint32_t measures_rate = 2;
    static constexpr std::uint32_t first_anchor = 4;

    static constexpr std::uint64_t second = 1'000'000'000;
    static constexpr std::uint64_t first_measurement = second / 50;
    static constexpr std::uint64_t most_made_up_for = second / 1'000; // in a second
    static constexpr std::uint64_t most_ahead = second / 20;
    static constexpr std::uint64_t most_cycles_behind = 1U << 22U; // about a millisecond

    struct anchor {
        atomic<std::uint64_t> cycles{0};
        atomic<std::uint64_t> nano{0};
        atomic<std::uint64_t> rate{0};    // nanoseconds in 2^32 cycles
        atomic<std::uint64_t> longest{0}; // cycles until the next correction
    };
    __extension__ using wide = unsigned __int128;

    static std::uint64_t nano_in(std::uint64_t cycles, std::uint64_t rate) noexcept {
        return static_cast<std::uint64_t>(static_cast<wide>(cycles) * rate >> 32U);
    }
    static std::uint64_t divided(std::uint64_t value, std::uint64_t by) noexcept {
        return static_cast<std::uint64_t>((static_cast<wide>(value) << 32U) / by);
    }

    // In the child of a fork, a thread that held the lock does not exist.
    bool try_lock() noexcept {
        std::uint32_t holder = holder_.load(memory_order_relaxed);
        const std::uint32_t process = machine::process();
        return holder != process &&
               holder_.compare_exchange_strong(holder, process, memory_order_acquire, memory_order_relaxed);
    }
    void unlock() noexcept { holder_.store(0, memory_order_release); }

    struct reading {
        std::uint64_t cycles;
        std::uint64_t nano;
    };
    // Reads both clocks at one moment. False if the thread was interrupted in between, which would spoil the rate.
    static bool read_both(reading& both) noexcept {
        constexpr std::uint64_t most_cycles_apart = 1U << 16U; // some ten microseconds
        const std::uint64_t before = Source::cycles();
        both.nano = Source::nano();
        const std::uint64_t after = Source::cycles();
        both.cycles = before + (after - before) / 2;
        return after - before < most_cycles_apart;
    }

    __attribute__((noinline)) std::uint64_t without_anchor(std::uint32_t state) noexcept {
        const std::uint64_t ahead = ahead_.load(memory_order_relaxed);
        if (state == reads_source || !try_lock()) return Source::nano() + ahead;
        reading now{};
        const bool is_exact = read_both(now);
        state = current_.load(memory_order_relaxed);
        if (is_exact && state == unused) {
            first_ = now;
            current_.store(Source::is_invariant() ? measures_rate : reads_source, memory_order_release);
        } else if (is_exact && state == measures_rate && now.nano - first_.nano >= first_measurement) {
            if (now.cycles > first_.cycles)
                set(now, divided(now.nano - first_.nano, now.cycles - first_.cycles), now.nano);
            else current_.store(reads_source, memory_order_release);
        }
        unlock();
        return now.nano + ahead;
    }

    // The time at `cycles` was estimated.
    __attribute__((noinline)) void correct(std::uint64_t cycles, std::uint64_t estimated) noexcept {
        if (!try_lock()) return; // another thread corrects
        reading now{};
        const bool is_exact = read_both(now); // otherwise the next reading corrects
        const std::uint32_t number = current_.load(memory_order_relaxed);
        const anchor& at = anchors_[number % 2];
        const std::uint64_t anchored_at = at.cycles.load(memory_order_relaxed);
        const bool began_anew = cycles < anchored_at && anchored_at - cycles >= most_cycles_behind;
        if (number >= first_anchor && is_exact && (cycles > anchored_at || began_anew)) {
            if (!began_anew)
                estimated = at.nano.load(memory_order_relaxed) +
                            nano_in(now.cycles - anchored_at, at.rate.load(memory_order_relaxed));
            const std::uint64_t ahead = estimated > now.nano ? estimated - now.nano : 0;
            if (ahead > most_ahead || began_anew || now.cycles <= anchored_at) {
                ahead_.store(ahead, memory_order_relaxed);
                current_.store(reads_source, memory_order_release);
            } else {
                const std::uint64_t rate = divided(now.nano - first_.nano, now.cycles - first_.cycles);
                const std::uint64_t made_up_for = ahead < most_made_up_for ? ahead : most_made_up_for;
                set({now.cycles, ahead != 0 ? estimated : now.nano},
                    rate - nano_in(divided(made_up_for, second), rate), now.nano);
            }
        }
        unlock();
    }

    // The longer the rate was measured, the later it is measured again.
    void set(reading start, std::uint64_t rate, std::uint64_t now) noexcept {
        const std::uint32_t before = current_.load(memory_order_relaxed);
        const std::uint32_t number = before < first_anchor || before == 0xffffffffU ? first_anchor : before + 1;
        const std::uint64_t pause = now - first_.nano < second ? now - first_.nano : second;
        anchor& next = anchors_[number % 2];
        // A thread that reads one of these sees that its own anchor is not the current one any more.
        next.cycles.store(start.cycles, memory_order_release);
        next.nano.store(start.nano, memory_order_release);
        next.rate.store(rate, memory_order_release);
        next.longest.store(rate == 0 ? 0 : divided(pause, rate), memory_order_release);
        current_.store(number, memory_order_release);
    }

    atomic<std::uint32_t> current_{unused}; // otherwise the number of the anchor in use
    anchor anchors_[2];

    alignas(64) atomic<std::uint32_t> holder_{0}; // of the lock of what follows and of the unused anchor: a process
    reading first_{};
    atomic<std::uint64_t> ahead_{0}; // how far the time was ahead when cycles were given up
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
