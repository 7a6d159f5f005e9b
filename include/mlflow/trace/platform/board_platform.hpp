// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/ids.hpp>

#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What the platforms for devices, `bare_metal_platform` and `static_memory_platform`, have in common: the clocks,
/// IDs, lock and reports of the board.
template <class Board>
struct board_platform {
    /// Nanoseconds since 1970-01-01 UTC.
    static std::uint64_t wall_nano() noexcept { return Board::wall_nano(); }
    /// Nanoseconds of a clock that never goes back.
    static std::uint64_t monotonic_nano() noexcept { return Board::monotonic_nano(); }
    /// Whether the board declares that its random bits are evenly distributed; see `platform` in concepts.hpp.
    static constexpr bool has_random_trace_ids = requires { requires Board::has_random_trace_ids; };
    /// A new ID, never zero.
    static trace_id new_trace_id() noexcept { return {valid_random(), Board::random()}; }
    /// A new ID, never zero.
    static span_id new_span_id() noexcept { return {valid_random()}; }
    /// Passes the error to the board.
    static void report(const error& error) noexcept { Board::report(error); }

    /// The board's lock.
    struct mutex {
        /// Calls the board's `lock`.
        static void lock() noexcept { Board::lock(); }
        /// Calls the board's `unlock`.
        static void unlock() noexcept { Board::unlock(); }
    };

private:
    static std::uint64_t valid_random() noexcept {
        const std::uint64_t value = Board::random();
        return value ? value : 1;
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
