// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/platform/board_platform.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// How much a tracer with `static_memory_platform` can hold.
struct static_sizes {
    std::size_t traces = 1;  ///< traces that are open at the same time, at most 200
    std::size_t spans = 4;   ///< spans of one trace, at most 200
    std::size_t bytes = 384; ///< encoded names and values of one trace, at most 16,383
};

/// The functions that a device provides for `static_memory_platform`.
///
/// - `wall_nano`: nanoseconds since 1970-01-01 UTC, as exactly as the device can tell.
/// - `monotonic_nano`: nanoseconds of a clock that never goes back.
/// - `random`: 64 bits that no other device gets; see `board`.
/// - `lock`, `unlock`: can be nested, and keep out interrupt handlers that record. Held for a few instructions, and
///   while an ended trace is copied to the exporter.
/// - `report`: called when a value is rejected, by the code that recorded it.
template <class T>
concept static_board = requires(const error& error) {
    { T::wall_nano() } noexcept -> std::same_as<std::uint64_t>;
    { T::monotonic_nano() } noexcept -> std::same_as<std::uint64_t>;
    { T::random() } noexcept -> std::same_as<std::uint64_t>;
    { T::lock() } noexcept;
    { T::unlock() } noexcept;
    { T::report(error) } noexcept;
};

/// The platform policy for the smallest devices. Traces are recorded into memory inside the tracer, whose size is
/// fixed when compiling: there is no heap, no arena, and no atomic instruction, so that cortex-m0 needs no additional
/// file. The exporter receives each ended trace as a record (`framed_exporter`).
///
/// The tracer has the same functions as with `bare_metal_platform`, except for those that docs/devices.md lists;
/// these do not compile. What does not fit is omitted and counted: a trace or a span in `account().dropped`; a value
/// is reported to the board.
template <class Board, static_sizes Sizes = static_sizes{}>
struct static_memory_platform : board_platform<Board> {
    static_assert(static_board<Board>, "the board lacks a noexcept member: wall_nano(), monotonic_nano(), random(), "
                                       "lock(), unlock(), report(const error&)");
    static_assert(Sizes.traces >= 1 && Sizes.traces <= 200 && Sizes.spans >= 1 && Sizes.spans <= 200 &&
                      Sizes.bytes >= 64 && Sizes.bytes <= 16'383,
                  "static_sizes: 1 to 200 traces, 1 to 200 spans, 64 to 16,383 bytes");

    /// The sizes.
    static constexpr static_sizes sizes = Sizes;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
