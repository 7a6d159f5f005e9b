// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A device without threads, whose functions come from its platform.
struct board_machine {
    static constexpr bool has_threads = false;
    static constexpr bool has_heap = false;
    using text = std::string_view;

    struct functions {
        void (*lock)() noexcept;
        void (*unlock)() noexcept;
        void* (*reallocate)(void* block, std::size_t size) noexcept; // size 0 frees the block
    };
    // The functions of the first tracer's platform.
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
    using shared_mutex = mutex;
    using static_mutex = mutex;
    template <class Mutexes>
    struct held_while_forking {
        constexpr explicit held_while_forking(Mutexes&) noexcept {}
    };
    struct shared_locks {
        [[no_unique_address]] static_mutex only;
        static shared_locks& here() noexcept { return of_thread<board_machine, shared_locks>; }
        static_mutex& of_this_thread() noexcept { return only; }
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

    static constexpr std::int64_t monotonic_seconds() noexcept { return 0; }

    // A variable of the only thread.
    template <class Tag, class T>
    static inline constinit T of_thread{};
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
