// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What a device gives to `bare_metal_platform`. A program has one board: what is recorded shares its lock and its
/// memory.
///
/// `wall_nano`: since 1970-01-01 UTC, as well as the device knows. `monotonic_nano`: never goes back. `random`: 64
/// bits that no other device gets, from a hardware generator or from one that is seeded with the device's unique
/// number and what differs at each start; where they are evenly spread, `static constexpr bool has_random_trace_ids =
/// true` tells it to other processes. `lock` and `unlock`: nest, and keep interrupt handlers that record out.
/// `reallocate`: as `std::realloc`, with size 0 to free, called under the lock; see `arena`. `report`: a value was
/// refused; called where it happened.
template <class T>
concept board = requires(const error& error, void* block, std::size_t size) {
    { T::wall_nano() } noexcept -> std::same_as<std::uint64_t>;
    { T::monotonic_nano() } noexcept -> std::same_as<std::uint64_t>;
    { T::random() } noexcept -> std::same_as<std::uint64_t>;
    { T::lock() } noexcept;
    { T::unlock() } noexcept;
    { T::reallocate(block, size) } noexcept -> std::same_as<void*>;
    { T::report(error) } noexcept;
};

/// A device without an operating system, for builds with `-ffreestanding` (`MLFLOW_TRACE_HOSTED` is 0). Works with
/// `-fno-exceptions -fno-rtti`, uses no heap, no `thread_local` and no atomics wider than a word; the processor must
/// have atomic read-modify-write of one (cortex-m3 and up). A span must not outlive its tracer.
template <class Board>
struct bare_metal_platform {
    static_assert(board<Board>,
                  "the board lacks a noexcept member: wall_nano(), monotonic_nano(), random(), lock(), unlock(), "
                  "reallocate(void*, std::size_t), report(const error&)");

    static std::uint64_t wall_nano() noexcept { return Board::wall_nano(); }
    static std::uint64_t monotonic_nano() noexcept { return Board::monotonic_nano(); }
    static constexpr bool has_random_trace_ids = requires { requires Board::has_random_trace_ids; };
    static trace_id new_trace_id() noexcept { return {valid_random(), Board::random()}; }
    static span_id new_span_id() noexcept { return {valid_random()}; }
    static void report(const error& error) noexcept { Board::report(error); }

    struct mutex {
        static void lock() noexcept { Board::lock(); }
        static void unlock() noexcept { Board::unlock(); }
    };

#if !MLFLOW_TRACE_HOSTED
    static void install() noexcept {
        static constexpr detail::machine::functions functions{&Board::lock, &Board::unlock, &reallocate};
        detail::machine::board = &functions;
    }
#endif

private:
    static std::uint64_t valid_random() noexcept {
        const std::uint64_t value = Board::random();
        return value ? value : 1;
    }
    static void* reallocate(void* block, std::size_t size) noexcept {
        mutex lock;
        const detail::lock_guard guard(lock);
        return Board::reallocate(block, size);
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
