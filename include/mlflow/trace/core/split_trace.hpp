// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/core/trace_data.hpp>

#include <cstddef>
#include <utility>

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
    whole.marks.is_split = true;
    half->marks = whole.marks;
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

// The first half of the traces, or the root of a single trace with half of its spans. Empty if a split is impossible.
inline trace_batch split_off_half(trace_batch& batch) noexcept {
    trace_batch half;
    if (batch.size() != 1) {
        for (std::size_t left = batch.size() / 2; left > 0; --left) half.push_back(batch.pop_front());
        return half;
    }
    trace_data* const whole = batch.pop_front();
    trace_data* const others = split_off_half(*whole);
    (others ? half : batch).push_back(whole);
    if (others) batch.push_back(others);
    return half;
}

// The first traces, with at most so many spans. A larger trace is split.
inline trace_batch take_spans(trace_batch& batch, std::size_t most_spans) noexcept {
    if (batch.span_count() <= most_spans) return std::move(batch);
    trace_batch part;
    while (!batch.empty() && part.span_count() + batch.begin()->span_count <= most_spans)
        part.push_back(batch.pop_front());
    if (!part.empty()) return part;
    part.push_back(batch.pop_front());
    while (part.span_count() > most_spans) {
        trace_batch half = split_off_half(part);
        if (half.empty()) break;
        part.append(std::move(batch));
        batch = std::exchange(part, std::move(half));
    }
    return part;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
