// SPDX-License-Identifier: Apache-2.0
// The atomic operations that the library uses, for processors with one core and no instructions for them: Cortex-M0
// and M0+, and RISC-V, where GCC 12 has none for single bytes. GCC calls these functions there. They disable
// interrupts for a few instructions.
#include <cstdint>

namespace {

class interrupts_disabled {
public:
#ifdef __riscv
    interrupts_disabled() noexcept { asm volatile("csrrci %0, mstatus, 8" : "=r"(before_)::"memory"); }
    ~interrupts_disabled() { asm volatile("csrs mstatus, %0" ::"r"(before_ & 8U) : "memory"); }
#else
    interrupts_disabled() noexcept { asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(before_)::"memory"); }
    ~interrupts_disabled() { asm volatile("msr primask, %0" ::"r"(before_) : "memory"); }
#endif
    interrupts_disabled(const interrupts_disabled&) = delete;
    interrupts_disabled& operator=(const interrupts_disabled&) = delete;

private:
    std::uint32_t before_;
};

template <class Number, class Function>
Number replace(void* at, const Function& function) noexcept {
    const interrupts_disabled guard;
    auto* const number = static_cast<volatile Number*>(at);
    const Number before = *number;
    *number = function(before);
    return before;
}

template <class Number>
bool compare_exchange(void* at, void* expected, Number desired) noexcept {
    const interrupts_disabled guard;
    auto* const number = static_cast<volatile Number*>(at);
    const Number before = *number;
    if (before == *static_cast<Number*>(expected)) {
        *number = desired;
        return true;
    }
    *static_cast<Number*>(expected) = before;
    return false;
}

} // namespace

extern "C" {

// Under other names in C++, because GCC reserves the names of the functions.
std::uint32_t fetch_add(void* at, std::uint32_t number, int order) noexcept asm("__atomic_fetch_add_4");
std::uint32_t fetch_sub(void* at, std::uint32_t number, int order) noexcept asm("__atomic_fetch_sub_4");
std::uint32_t fetch_or(void* at, std::uint32_t bits, int order) noexcept asm("__atomic_fetch_or_4");
std::uint8_t exchange_1(void* at, std::uint8_t number, int order) noexcept asm("__atomic_exchange_1");
std::uint32_t exchange_4(void* at, std::uint32_t number, int order) noexcept asm("__atomic_exchange_4");
bool compare_exchange_1(void* at, void* expected, std::uint8_t desired, bool weak, int success, int failure) noexcept
    asm("__atomic_compare_exchange_1");
bool compare_exchange_4(void* at, void* expected, std::uint32_t desired, bool weak, int success, int failure) noexcept
    asm("__atomic_compare_exchange_4");

std::uint32_t fetch_add(void* at, std::uint32_t number, int) noexcept {
    return replace<std::uint32_t>(at, [=](std::uint32_t before) { return before + number; });
}
std::uint32_t fetch_sub(void* at, std::uint32_t number, int) noexcept {
    return replace<std::uint32_t>(at, [=](std::uint32_t before) { return before - number; });
}
std::uint32_t fetch_or(void* at, std::uint32_t bits, int) noexcept {
    return replace<std::uint32_t>(at, [=](std::uint32_t before) { return before | bits; });
}
std::uint8_t exchange_1(void* at, std::uint8_t number, int) noexcept {
    return replace<std::uint8_t>(at, [=](std::uint8_t) { return number; });
}
std::uint32_t exchange_4(void* at, std::uint32_t number, int) noexcept {
    return replace<std::uint32_t>(at, [=](std::uint32_t) { return number; });
}
bool compare_exchange_1(void* at, void* expected, std::uint8_t desired, bool, int, int) noexcept {
    return compare_exchange(at, expected, desired);
}
bool compare_exchange_4(void* at, void* expected, std::uint32_t desired, bool, int, int) noexcept {
    return compare_exchange(at, expected, desired);
}

} // extern "C"
