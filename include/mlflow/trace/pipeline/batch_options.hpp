// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/pipeline/diagnostics.hpp>

#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What `batch` does with a trace for which the queue has no room.
enum class when_full : std::uint8_t {
    drop_newest, ///< this one is dropped
    drop_oldest, ///< those that wait longest are dropped
    wait ///< the recording thread waits for room, for at most `batch_options::max_wait`; then as `drop_newest`
};

template <class Exporter>
struct batch_options {
    detail::options_of<Exporter> exporter{};
    /// Of the memory that traces take which wait or are in the hands of the inner exporter: their objects and blocks,
    /// with what the allocator adds. Not counted are traces that are still open, and what the inner exporter needs
    /// for its requests.
    std::size_t max_queue_bytes = 64U * 1024 * 1024;
    std::size_t max_queue_spans = 262'144; ///< waiting
    trace::when_full when_full = when_full::drop_newest;
    std::chrono::milliseconds max_wait{100};
    std::size_t max_batch_bytes = 4U * 1024 * 1024; ///< of encoded spans in one call of the inner exporter
    std::size_t max_batch_spans = 1'024;
    std::chrono::milliseconds delay{500}; ///< the longest time that a trace waits for company
    std::chrono::milliseconds shutdown_timeout{5'000};
    trace::diagnostics diagnostics{}; ///< told of drops and failures; by default a line on standard error
};

/// What waits in a `batch`.
struct batch_status {
    std::size_t waiting_spans = 0; ///< in the queue, not those in the hands of the inner exporter
    std::size_t waiting_bytes = 0; ///< of these, encoded
    /// The memory that `max_queue_bytes` limits, without what is kept for reuse, which has at most an eighth of it.
    std::size_t held_bytes = 0;
    std::chrono::milliseconds oldest_waits{0}; ///< since the first trace in the queue has ended, by the wall clock
    std::uint64_t dropped_spans = 0;           ///< for want of room
    /// Grows whenever the receiver has taken something: who waits for the rest need not give up meanwhile.
    std::uint64_t progress = 0;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
