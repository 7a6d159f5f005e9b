// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/bare_metal.hpp>
#include <mlflow/trace/device/ticks.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

// The boards lm3s6965evb and mps2-an385 (-DBOARD_MPS2), as emulated by qemu-system-arm: a clock without time of day,
// and a UART.
namespace embedded {

namespace mt = mlflow::trace;

inline volatile std::uint32_t& device_register(std::uintptr_t address) noexcept {
    return *reinterpret_cast<volatile std::uint32_t*>(address);
}

struct uart {
#ifdef BOARD_MPS2 // CMSDK APB UART
    static constexpr std::uintptr_t base = 0x40004000;
    static void start() noexcept {
        device_register(base + 0x10) = 16; // clock divisor
        device_register(base + 0x08) = 3;  // enables sending and receiving
    }
    static bool is_full() noexcept { return (device_register(base + 0x04) & 1U) != 0; }
    static bool has_byte() noexcept { return (device_register(base + 0x04) & 2U) != 0; }
#else // PL011
    static constexpr std::uintptr_t base = 0x4000c000;
    static void start() noexcept { device_register(base + 0x30) = 0x301; } // enables sending and receiving
    static bool is_full() noexcept { return (device_register(base + 0x18) & 0x20U) != 0; }
    static bool has_byte() noexcept { return (device_register(base + 0x18) & 0x10U) == 0; }
#endif
    static bool write(std::string_view bytes) noexcept {
        for (const char byte : bytes) {
            while (is_full()) {
            }
            device_register(base) = static_cast<unsigned char>(byte);
        }
        return true;
    }
    static char read() noexcept { return static_cast<char>(device_register(base) & 255U); }
};

struct board {
#ifdef BOARD_MPS2
    static constexpr std::uint64_t nano_per_tick = 40;
#else
    static constexpr std::uint64_t nano_per_tick = 80;
#endif
    static inline constinit std::uint64_t state = 0;
    static inline constinit int locked = 0;
    static inline constinit mt::unwrapped_ticks ticks;

    static mt::arena<6 * 1024>& memory() noexcept {
        static mt::arena<6 * 1024> only;
        return only;
    }

    // `seed` differs at each start; a real board uses its random number generator.
    static void start(std::uint32_t serial_number, std::uint32_t seed) noexcept {
        device_register(0xe000e014) = 0xff'ffff; // SysTick counts down from here, 24 bits
        device_register(0xe000e018) = 0;
        device_register(0xe000e010) = 5; // uses the processor's clock
        state = std::uint64_t{serial_number} << 32U | seed;
        uart::start();
    }
    // Must be called at least every 0.6 s, before the counter wraps.
    static std::uint64_t monotonic_nano() noexcept {
        lock();
        const std::uint32_t counted = (0xff'ffffU - device_register(0xe000e018)) << 8U;
        const std::uint64_t now = (ticks(counted) >> 8U) * nano_per_tick;
        unlock();
        return now;
    }
    static std::uint64_t wall_nano() noexcept { return monotonic_nano(); }
    static std::uint64_t random() noexcept { // splitmix64
        std::uint64_t z = state += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31U);
    }
    static void lock() noexcept {
        asm volatile("cpsid i" ::: "memory");
        ++locked;
    }
    static void unlock() noexcept {
        if (--locked == 0) asm volatile("cpsie i" ::: "memory");
    }
    static void* reallocate(void* block, std::size_t size) noexcept { return memory().reallocate(block, size); }
    static void report(const mt::error&) noexcept {}

    static void wait(std::uint64_t nanoseconds) noexcept {
        const std::uint64_t end = monotonic_nano() + nanoseconds;
        while (monotonic_nano() < end) {
        }
    }
};

} // namespace embedded
