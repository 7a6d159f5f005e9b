// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/memory/board_machine.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/platform/board_platform.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The functions that a device provides for `bare_metal_platform`. A program has only one board: everything that
/// records shares its lock and memory.
///
/// - `wall_nano`: nanoseconds since 1970-01-01 UTC, as exactly as the device can tell.
/// - `monotonic_nano`: nanoseconds of a clock that never goes back.
/// - `random`: 64 bits that no other device gets, from a hardware generator, or from one seeded with the device's
///   unique number and something that differs at each start. If the bits are evenly distributed, declare `static
///   constexpr bool has_random_trace_ids = true`; other processes are notified of it.
/// - `lock`, `unlock`: can be nested, and keep out interrupt handlers that record.
/// - `reallocate`: as `std::realloc`; size 0 frees. Called under the lock. See `arena`.
/// - `report`: called when a value is rejected, by the code that recorded it.
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

/// The platform policy for devices without an operating system, built with `-ffreestanding` (`MLFLOW_TRACE_HOSTED` is
/// 0). Works with `-fno-exceptions -fno-rtti`, and uses no heap, no `thread_local`, and no atomics wider than a word.
/// The processor must have atomic read-modify-write instructions for a word (cortex-m3 or newer); for others, link
/// `examples/embedded/atomics.cpp`. `wall_nano`, `monotonic_nano` and `random` are called without the lock. A span
/// must not outlive its tracer.
template <class Board>
struct bare_metal_platform : board_platform<Board> {
    static_assert(board<Board>,
                  "the board lacks a noexcept member: wall_nano(), monotonic_nano(), random(), lock(), unlock(), "
                  "reallocate(void*, std::size_t), report(const error&)");

    /// Registers the board's functions. The first tracer calls it.
    static void install() noexcept {
        static constexpr detail::board_machine::functions functions{&Board::lock, &Board::unlock, &reallocate};
        detail::board_machine::board = &functions;
    }

private:
    static void* reallocate(void* block, std::size_t size) noexcept {
        typename board_platform<Board>::mutex lock;
        const detail::lock_guard guard(lock);
        return Board::reallocate(block, size);
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
