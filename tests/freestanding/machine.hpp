// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

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
