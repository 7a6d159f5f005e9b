// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/detail/durations.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The result of one attempt to deliver a batch (fault_finder.hpp). The traces in `again` must be sent again after a
// pause.
struct delivery_round {
    std::size_t exported = 0;
    std::size_t failed = 0; // quarantined, or rejected by a receiver that accepted the rest
    trace_batch again{};
    std::size_t exported_in_part = 0;  // spans in `again` that the receiver has already accepted
    mlflow::trace::error error{};      // of the latest request that failed
    mlflow::trace::error why_failed{}; // of the latest spans in `failed`
    std::chrono::milliseconds retry_after{0};

    void has_failed(std::size_t spans, const mlflow::trace::error& why) noexcept {
        failed += spans;
        if (spans != 0) why_failed = why;
    }
    void count(const export_result& delivered) noexcept {
        exported += delivered.exported_spans;
        has_failed(delivered.failed_spans, delivered.error);
    }
    void note(export_result& refused) noexcept {
        error = std::move(refused.error);
        if (refused.retry_after > retry_after) retry_after = refused.retry_after;
    }
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
