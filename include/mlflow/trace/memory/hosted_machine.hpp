// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/forks.hpp>

#if MLFLOW_TRACE_HOSTED

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <pthread.h>
#include <string>
#include <time.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A process of an operating system.
struct hosted_machine {
    static constexpr bool has_threads = true;
    static constexpr bool has_heap = true;
    using text = std::string;

    using mutex = posix_mutex;
    using static_mutex = detail::static_mutex;
    template <class Mutexes>
    using held_while_forking = detail::held_while_forking<Mutexes>;
    using shared_mutex = detail::shared_mutex;
    using shared_locks = locks_by_thread;

    static constexpr std::size_t first_block = 512;      // of a buffer
    static constexpr std::size_t small_block = 4 * 1024; // always kept for reuse
    static constexpr std::size_t kept_block = 64 * 1024; // the largest block that is kept for reuse
    static constexpr std::size_t block_cost = 16;        // average overhead and rounding of the allocator

    static void* reallocate(void* block, std::size_t size) noexcept { return std::realloc(block, size); }
    static void release(void* block) noexcept { std::free(block); }

    // Differs in the child of a fork.
    static std::uint32_t process() noexcept { return fork_count(); }
    // The same number, from the counter of the part of the program that made the object.
    class process_number {
    public:
        process_number() noexcept { fork_count(); }
        std::uint32_t operator()() const noexcept { return counter_->load(memory_order_relaxed); }

    private:
        const atomic<std::uint32_t>* counter_ = &fork_counter();
    };

    // A variable of each thread.
    template <class Tag, class T>
    static inline constinit thread_local T of_thread{};

    static std::int64_t monotonic_seconds() noexcept {
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec;
    }
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
