// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/memory/forks.hpp>

#include <cstddef>
#include <cstdint>

#if MLFLOW_TRACE_HOSTED
#include <cstdlib>
#include <pthread.h>
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
    // std::mutex.
    class mutex {
    public:
        constexpr mutex() noexcept = default;
        mutex(const mutex&) = delete;
        mutex& operator=(const mutex&) = delete;

        void lock() noexcept { pthread_mutex_lock(&mutex_); }
        void unlock() noexcept { pthread_mutex_unlock(&mutex_); }
        [[nodiscard]] bool try_lock() noexcept { return pthread_mutex_trylock(&mutex_) == 0; }
        [[nodiscard]] pthread_mutex_t* native_handle() noexcept { return &mutex_; }

    private:
        pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    };

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
        std::uint32_t operator()() const noexcept { return counter_->load(memory_order_relaxed); }

    private:
        const atomic<std::uint32_t>* counter_ = &fork_counter();
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
        [[nodiscard]] static bool try_lock() noexcept {
            lock();
            return true;
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

// std::lock_guard and std::unique_lock, which freestanding targets need not have, and whose header costs every user
// 2,000 lines more.
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

template <class Mutex>
class unique_lock {
public:
    explicit unique_lock(Mutex& mutex) : mutex_(mutex) { lock(); }
    unique_lock(const unique_lock&) = delete;
    unique_lock& operator=(const unique_lock&) = delete;
    ~unique_lock() {
        if (is_locked_) mutex_.unlock();
    }

    void lock() {
        mutex_.lock();
        is_locked_ = true;
    }
    void unlock() {
        is_locked_ = false;
        mutex_.unlock();
    }
    [[nodiscard]] Mutex& mutex() const noexcept { return mutex_; }

private:
    Mutex& mutex_;
    bool is_locked_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
