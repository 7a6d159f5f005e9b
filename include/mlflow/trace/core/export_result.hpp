// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/detail/durations.hpp>

#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The result of an export. It counts spans, because a trace may be delivered in parts.
///
///     const mt::error why(mt::error_kind::file, "traces.csv", "cannot be written; free some space");
///     const mt::export_result outcome{.failed_spans = 4, .error = why, .retryable = true};
struct export_result {
    std::size_t exported_spans = 0; ///< spans that the receiver accepted, or that a deferring exporter took over
    std::size_t failed_spans = 0;   ///< spans that were not delivered
    /// Why spans failed, without credentials; no error when none failed.
    mlflow::trace::error error{};
    /// The same batch may succeed when it is exported again: the receiver was unreachable or busy. What is still in
    /// the batch is sent again, so that an exporter moves out of it what has arrived.
    bool retryable = false;
    /// How long the receiver asks to wait before that; 0 when it gives none.
    std::chrono::milliseconds retry_after{0};
    /// The receiver rejected the content, or together with `retryable` may have rejected it. A single trace can cause
    /// a whole request to be rejected.
    bool content_rejected = false;
    /// The receiver did not respond in time, or memory for the request ran out. Smaller requests may succeed.
    bool too_slow = false;
    /// Nothing of the batch is sent again: the receiver accepted the batch and reported rejected spans, or the
    /// exporter's counts do not add up.
    bool is_final = false;

    /// Whether no span failed.
    [[nodiscard]] bool ok() const noexcept { return failed_spans == 0; }
};

/// Counts of the spans that a tracer has started. At any moment
/// `started == exported + failed + dropped + queued + open`.
struct span_account {
    std::uint64_t started = 0;  ///< started by the tracer
    std::uint64_t exported = 0; ///< accepted by the receiver, as the exporter reports
    std::uint64_t failed = 0;   ///< not delivered by the exporter
    std::uint64_t dropped = 0;  ///< discarded without an attempt to deliver: queue full, shut down, out of memory
    std::uint64_t queued = 0;   ///< ended, and waiting in the exporter
    std::uint64_t open = 0;     ///< not ended, or part of a trace that is still open
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
