// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// What the tests' programs need of an emulated Arm or RISC-V processor.

inline void disable_interrupts() noexcept {
#ifdef __riscv
    asm volatile("csrci mstatus, 8" ::: "memory");
#else
    asm volatile("cpsid i" ::: "memory");
#endif
}
inline void enable_interrupts() noexcept {
#ifdef __riscv
    asm volatile("csrsi mstatus, 8" ::: "memory");
#else
    asm volatile("cpsie i" ::: "memory");
#endif
}

// Counts instructions in qemu with `-icount shift=0`, where each takes one nanosecond of the emulated clock.
class instruction_counter {
public:
    instruction_counter() noexcept {
#if !defined(__riscv) && __ARM_ARCH >= 7 // SysTick of the lm3s6965evb, 12.5 MHz
        at(0xe000e014) = 0xff'ffff;
        at(0xe000e018) = 0;
        at(0xe000e010) = 5;
#endif
        begin_ = now();
    }
    [[nodiscard]] std::uint32_t count() const noexcept {
#ifdef __riscv
        return now() - begin_;
#else
        return ((now() - begin_) & 0xff'ffffU) * 80;
#endif
    }

private:
#ifdef __riscv
    static std::uint32_t now() noexcept {
        std::uint32_t retired = 0;
        asm volatile("csrr %0, minstret" : "=r"(retired));
        return retired;
    }
#else
    static volatile std::uint32_t& at(std::uintptr_t address) noexcept {
        return *reinterpret_cast<volatile std::uint32_t*>(address);
    }
    static std::uint32_t now() noexcept { return 0xff'ffffU - at(0xe000e018); }
#endif

    std::uint32_t begin_ = 0;
};

extern "C" std::uint32_t bss_end[]; // of the linker script: the end of the unused stack

// Fills the unused stack with a pattern, and finds out how much of it a function has overwritten.
class stack_watch {
public:
    [[gnu::noinline]] stack_watch() noexcept : begin_(static_cast<std::uint32_t*>(__builtin_frame_address(0)) - 32) {
        for (volatile std::uint32_t* at = bss_end; at < begin_; ++at) *at = pattern;
    }
    [[gnu::noinline, nodiscard]] std::size_t used_bytes() const noexcept {
        const volatile std::uint32_t* at = bss_end;
        while (at < begin_ && *at == pattern) ++at;
        return static_cast<std::size_t>(begin_ - at) * sizeof pattern;
    }

private:
    static constexpr std::uint32_t pattern = 0xc0ffee11U;
    std::uint32_t* begin_;
};

// Semihosting, https://github.com/ARM-software/abi-aa/blob/main/semihosting/semihosting.rst and
// https://github.com/riscv-non-isa/riscv-semihosting.
enum class host_call : int { write0 = 0x04, exit_extended = 0x20 };

[[gnu::noinline]] inline int ask_host(host_call call, const void* argument) noexcept {
#ifdef __riscv
    register int result asm("a0") = static_cast<int>(call);
    register const void* passed asm("a1") = argument;
    // The three instructions must be in one page.
    asm volatile(
        ".option push\n\t.option norvc\n\t.balign 16\n\tslli x0, x0, 0x1f\n\tebreak\n\tsrai x0, x0, 7\n\t.option pop"
        : "+r"(result)
        : "r"(passed)
        : "memory");
#else
    register int result asm("r0") = static_cast<int>(call);
    register const void* passed asm("r1") = argument;
    asm volatile("bkpt 0xab" : "+r"(result) : "r"(passed) : "memory");
#endif
    return result;
}

[[noreturn]] inline void exit_with(int code) noexcept {
    const int reason[] = {0x20026, code}; // ADP_Stopped_ApplicationExit
    for (;;) ask_host(host_call::exit_extended, reason);
}

inline void say(const char* text) noexcept { ask_host(host_call::write0, text); }

inline void say_text(std::string_view text) noexcept {
    char piece[64];
    while (!text.empty()) {
        const auto size = text.size() < sizeof piece ? text.size() : sizeof piece - 1;
        for (std::size_t at = 0; at < size; ++at) piece[at] = text[at];
        piece[size] = '\0';
        say(piece);
        text.remove_prefix(size);
    }
}

inline void say_hex(std::string_view bytes) noexcept {
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        const char digits[] = {"0123456789abcdef"[byte >> 4U], "0123456789abcdef"[byte & 15U], '\0'};
        say(digits);
    }
}

inline void say_number(const char* name, std::uint64_t number) noexcept {
    char digits[21];
    char* at = digits + sizeof digits;
    *--at = '\0';
    do *--at = static_cast<char>('0' + number % 10);
    while (number /= 10);
    say(name);
    say(" ");
    say(at);
    say("\n");
}
