// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/forks.hpp>

#include <cstddef>
#include <cstdint>

#if MLFLOW_TRACE_HOSTED
#include <cstdlib>
#include <mutex>
#include <string>
#else
#include <string_view>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A text that the library hands out: an own copy, and on a freestanding target, which has no heap, a view of static
/// storage.
#if MLFLOW_TRACE_HOSTED
using owned_text = std::string;
#else
using owned_text = std::string_view;
#endif

namespace detail {

// Locks and memory of what is recorded, the same for all tracers of a process: their traces meet in the pools.
#if MLFLOW_TRACE_HOSTED
struct machine {
    using mutex = std::mutex;

    static constexpr std::size_t first_block = 512;      // of a buffer
    static constexpr std::size_t small_block = 4 * 1024; // kept by whatever has one
    static constexpr std::size_t kept_block = 64 * 1024; // one huge text must not hold its memory for ever
    static constexpr std::size_t block_cost = 16;        // what the allocator adds, and rounds up, on average

    static void* reallocate(void* block, std::size_t size) noexcept { return std::realloc(block, size); }
    static void release(void* block) noexcept { std::free(block); }

    // Another number in the child of a fork.
    static std::uint32_t process() noexcept { return fork_count(); }
    // The same, as the part of the program counts that makes this object.
    class process_number {
    public:
        process_number() noexcept { fork_count(); }
        std::uint32_t operator()() const noexcept { return counter_->load(std::memory_order_relaxed); }

    private:
        const std::atomic<std::uint32_t>* counter_ = &fork_counter();
    };
};
#else
struct machine {
    struct functions {
        void (*lock)() noexcept;
        void (*unlock)() noexcept;
        void* (*reallocate)(void* block, std::size_t size) noexcept; // of size 0: frees
    };
    // Of the platform that the first tracer has.
    static inline constinit const functions* board = nullptr;

    struct mutex {
        static void lock() noexcept {
            if (board) board->lock();
        }
        static void unlock() noexcept {
            if (board) board->unlock();
        }
    };

    static constexpr std::size_t first_block = 128;
    static constexpr std::size_t small_block = 512;
    static constexpr std::size_t kept_block = 512;
    static constexpr std::size_t block_cost = 16;

    static void* reallocate(void* block, std::size_t size) noexcept {
        return board ? board->reallocate(block, size) : nullptr;
    }
    static void release(void* block) noexcept { reallocate(block, 0); }

    static constexpr std::uint32_t process() noexcept { return 0; }
    struct process_number {
        constexpr std::uint32_t operator()() const noexcept { return 0; }
    };
};
#endif

// std::lock_guard, which freestanding targets need not have.
template <class Mutex>
class lock_guard {
public:
    explicit lock_guard(Mutex& mutex) : mutex_(mutex) { mutex_.lock(); }
    lock_guard(const lock_guard&) = delete;
    lock_guard& operator=(const lock_guard&) = delete;
    ~lock_guard() { mutex_.unlock(); }

private:
    Mutex& mutex_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
