// SPDX-License-Identifier: Apache-2.0
// What a processor needs before `run_device`, and the functions that a compiler expects of every target.

#include <cstddef>
#include <cstdint>

extern "C" {

extern std::uint32_t data_from, data_begin, data_end, bss_begin, bss_end;
extern void (*constructors_begin[])();
extern void (*constructors_end[])();
extern std::uint32_t stack_top;

void run_device() noexcept;

void* memcpy(void* to, const void* from, std::size_t size) {
    for (std::size_t at = 0; at < size; ++at)
        static_cast<volatile char*>(to)[at] = static_cast<const char*>(from)[at];
    return to;
}
void* memmove(void* to, const void* from, std::size_t size) {
    if (to <= from) return memcpy(to, from, size);
    while (size-- > 0) static_cast<volatile char*>(to)[size] = static_cast<const char*>(from)[size];
    return to;
}
void* memset(void* to, int byte, std::size_t size) {
    for (std::size_t at = 0; at < size; ++at) static_cast<volatile char*>(to)[at] = static_cast<char>(byte);
    return to;
}
int memcmp(const void* a, const void* b, std::size_t size) {
    for (std::size_t at = 0; at < size; ++at) {
        const int difference =
            int{static_cast<const unsigned char*>(a)[at]} - static_cast<const unsigned char*>(b)[at];
        if (difference != 0) return difference;
    }
    return 0;
}

std::size_t strlen(const char* text) {
    const char* end = text;
    while (*static_cast<const volatile char*>(end) != '\0') ++end;
    return static_cast<std::size_t>(end - text);
}
[[noreturn]] void abort() {
    for (;;) {
    }
}

[[noreturn]] void reset() {
    for (std::uint32_t *from = &data_from, *to = &data_begin; to < &data_end; ++from, ++to) *to = *from;
    for (std::uint32_t* to = &bss_begin; to < &bss_end; ++to) *to = 0;
    for (auto* construct = constructors_begin; construct < constructors_end; ++construct) (*construct)();
    run_device();
    for (;;) {
    }
}

#ifdef __riscv
[[gnu::section(".vectors"), gnu::used, gnu::naked, noreturn]] void begin() {
    asm volatile("la sp, stack_top\n\tj reset");
}
#else
[[gnu::section(".vectors"), gnu::used]] const std::uintptr_t vectors[] = {
    reinterpret_cast<std::uintptr_t>(&stack_top), reinterpret_cast<std::uintptr_t>(&reset)};
#endif

} // extern "C"
