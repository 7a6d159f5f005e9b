// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#if MLFLOW_TRACE_HOSTED

#include <cstddef>
#include <cstdint>
#include <pthread.h>

// Functions of AddressSanitizer's runtime; null in a program without it.
extern "C" {
__attribute__((weak)) void* __asan_get_current_fake_stack(void);
__attribute__((weak)) void* __asan_addr_is_in_fake_stack(void* fake_stack, void* addr, void** beg, void** end);
}

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The stack that the operating system gave to a thread.
class thread_stack {
public:
    // Whether the object is a local variable of a function that runs on this thread. The frame of a coroutine is
    // elsewhere, and so is the stack of a fiber.
    static bool holds(const void* object) noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(object);
        if (address - low_ < size_) [[likely]]
            return true;
        return looks_again(object);
    }

private:
    // Not inlined, which keeps the lookup, made once per thread, off the fast path.
    __attribute__((noinline)) static bool looks_again(const void* object) noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(object);
        const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
        // The main thread's stack may have grown, on systems that report only its used part.
        if (size_ == 0 || (here < low_ && low_ - here < most_growth)) look_up();
        if (size_ == 0) // size unknown: an object on the stack is near the frame, and one on the heap is not
            return address - here < nearby || here - address < nearby;
        if (address - low_ < size_) return true;
        // AddressSanitizer keeps the variables of instrumented functions on a stack of its own.
        if (!&__asan_get_current_fake_stack || !&__asan_addr_is_in_fake_stack) return false;
        void* const fake_stack = __asan_get_current_fake_stack();
        void* begin = nullptr;
        void* end = nullptr;
        void* const real =
            fake_stack ? __asan_addr_is_in_fake_stack(fake_stack, const_cast<void*>(object), &begin, &end) : nullptr;
        return real && reinterpret_cast<std::uintptr_t>(real) - low_ < size_;
    }
    static void look_up() noexcept {
        void* low = nullptr;
        std::size_t size = 0;
#if defined(__APPLE__)
        size = pthread_get_stacksize_np(pthread_self());
        low = static_cast<char*>(pthread_get_stackaddr_np(pthread_self())) - size;
#elif defined(__GLIBC__) || defined(__linux__)
        pthread_attr_t attributes;
        if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
            pthread_attr_getstack(&attributes, &low, &size);
            pthread_attr_destroy(&attributes);
        }
#endif
        if (size == 0) return;
        low_ = reinterpret_cast<std::uintptr_t>(low);
        size_ = size;
    }

    static constexpr std::uintptr_t nearby = std::uintptr_t{1} << 18U;
    static constexpr std::uintptr_t most_growth = std::uintptr_t{1} << 28U;
    static inline constinit thread_local std::uintptr_t low_ = 0;
    static inline constinit thread_local std::uintptr_t size_ = 0;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#else

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Without coroutines and fibers, every object can be current.
class thread_stack {
public:
    static constexpr bool holds(const void*) noexcept { return true; }
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
