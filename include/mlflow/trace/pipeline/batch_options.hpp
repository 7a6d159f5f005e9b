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
    drop_newest, ///< drop this trace
    drop_oldest, ///< drop the oldest queued traces
    wait         ///< the recording thread waits up to `batch_options::max_wait` for room, then drops this trace
};

/// Options of `batch`.
template <class Exporter>
struct batch_options {
    /// Options of the inner exporter.
    detail::options_of<Exporter> exporter{};
    /// The limit for the memory of traces that are queued or being exported: objects, blocks, and the overhead of the
    /// allocator. Open traces are not counted, nor is the memory that the inner exporter needs for its requests.
    /// Raise it to bridge a longer outage, within the memory limit of the process: 20 traces of 6 KB a second fill 64
    /// MiB in about 9 minutes.
    std::size_t max_queue_bytes = 64U * 1024 * 1024;
    /// The limit for spans in the queue. Raise it with `max_queue_bytes` if spans are small.
    std::size_t max_queue_spans = 262'144;
    /// What happens to a trace that does not fit. Use `drop_oldest` if the latest traces matter most, `wait` if a
    /// pause of the recording thread is better than a loss.
    trace::when_full when_full = when_full::drop_newest;
    /// The limit for `when_full::wait`.
    std::chrono::milliseconds max_wait{100};
    /// The limit for one call of the inner exporter, in bytes of encoded spans. Lower it if the server or a proxy
    /// accepts smaller requests only.
    std::size_t max_batch_bytes = 4U * 1024 * 1024;
    /// The limit for one call of the inner exporter, in spans.
    std::size_t max_batch_spans = 1'024;
    /// How long a trace waits at most for others, so that they are exported together. Lower it to see traces sooner,
    /// raise it for fewer requests.
    std::chrono::milliseconds delay{500};
    /// How long the destructor waits for delivery. In a tracer, `tracer_options::shutdown_timeout` applies.
    std::chrono::milliseconds shutdown_timeout{5'000};
    trace::diagnostics diagnostics{}; ///< where drops and failures are logged; standard error by default
};

/// The state of the queue of a `batch`.
struct batch_status {
    std::size_t waiting_spans = 0; ///< spans in the queue, without those being exported
    std::size_t waiting_bytes = 0; ///< their size, encoded
    /// The memory that `max_queue_bytes` limits, without the free objects kept for reuse (at most an eighth of the
    /// limit).
    std::size_t held_bytes = 0;
    std::chrono::milliseconds oldest_waits{0}; ///< time since the oldest queued trace ended, by the wall clock
    std::uint64_t dropped_spans = 0;           ///< because the queue was full or the trace too large
    /// Increases whenever the receiver accepts something. A caller that waits for delivery may continue to wait while
    /// this value increases.
    std::uint64_t progress = 0;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
