// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>

#include <cstddef>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Moves half of the spans to a part of their own, as for spans that end after their root span. The root span stays in
// `whole`. Null when `whole` has only one span, or memory runs out.
inline trace_data* split_off_half(trace_data& whole) noexcept {
    if (whole.span_count < 2) return nullptr;
    trace_data* const half = pool<trace_data>::instance().take();
    if (!half) return nullptr;
    half->id = whole.id;
    span_data** to = &half->spans;
    span_data** from = &whole.spans;
    for (std::size_t left = whole.span_count / 2; left > 0;) {
        span_data* const span = *from;
        if (span == whole.root) {
            from = &span->next;
            continue;
        }
        *from = span->next;
        span->next = nullptr;
        *to = span;
        to = &span->next;
        const std::size_t bytes = span->body.size();
        whole.bytes -= bytes;
        half->bytes += bytes;
        whole.capacity -= span->body.capacity();
        half->capacity += span->body.capacity();
        --whole.span_count;
        ++half->span_count;
        --left;
    }
    return half;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
