// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// How an export went. Spans are what is counted, because a trace may arrive in parts.
struct export_result {
    std::size_t exported_spans = 0;
    std::size_t failed_spans = 0;
    owned_text error{}; ///< one line on why spans failed, without credentials; empty when none did
    /// The same batch may be exported once more, with a chance to succeed: the receiver was not there, or is busy.
    bool retryable = false;
    /// What the receiver asks to wait before that; 0 when it did not say.
    std::chrono::milliseconds retry_after{0};
    /// The receiver does, or together with `retryable` may, find fault with what was sent: one trace can be the
    /// reason that all were refused.
    bool content_rejected = false;
    /// The receiver did not answer in time, or there was no memory for the request: less at once may arrive.
    bool too_slow = false;
    /// The receiver has taken the batch and says that it rejects spans of it, or the exporter does not count what it
    /// is given: nothing of it is sent again.
    bool is_final = false;

    [[nodiscard]] bool ok() const noexcept { return failed_spans == 0; }
};

/// Where the spans are that a tracer has started. At any moment
/// `started == exported + failed + dropped + queued + open`.
struct span_account {
    std::uint64_t started = 0;
    std::uint64_t exported = 0; ///< the exporter says that they arrived
    std::uint64_t failed = 0;   ///< the exporter could not deliver them
    std::uint64_t dropped = 0;  ///< given up before an exporter saw them: queue full, after shutdown, out of memory
    std::uint64_t queued = 0;   ///< finished, waiting for the exporter
    std::uint64_t open = 0;     ///< not finished, or part of a trace that is still open
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
