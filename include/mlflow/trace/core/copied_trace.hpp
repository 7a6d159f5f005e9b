// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/packed.hpp>
#include <mlflow/trace/core/trace_batch.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Returns a copy of one of the traces that wait elsewhere, a different one for each number; null when none waits.
using other_trace = trace_data*(void* from, std::size_t number) noexcept;
template <class Exporter>
concept asks_for_others = requires(Exporter& exporter, void* from, other_trace* next) {
    { exporter.take_others_from(from, next) } noexcept;
};
struct other_traces {
    void* from = nullptr;
    other_trace* next = nullptr;
};

// Returns a copy of an ended trace, or null when memory runs out.
inline trace_data* copy_of(const trace_data& trace) noexcept {
    trace_data* const copy = pool<trace_data>::instance().take();
    if (!copy) return nullptr;
    trace_batch owner(copy);
    copy_description(*copy, trace);
    for (const trace_entry entry : trace.entries)
        if (!copy->entries.set(entry.kind, entry.key, entry.value)) return nullptr;
    span_data** next = &copy->spans;
    for (const span_data* from = trace.spans; from; from = from->next) {
        span_data* const to = pool<span_data>::instance().take();
        if (!to) return nullptr;
        to->next = nullptr;
        *next = to;
        next = &to->next;
        if (!from->body.empty() && !to->body.append(from->body.view())) return nullptr;
        copy_description(*to, *from);
        if (from == trace.root) copy->root = to;
        copy->capacity += to->body.capacity();
    }
    copy->span_count = trace.span_count;
    copy->bytes = trace.bytes;
    return trace_batch(std::move(owner)).pop_front();
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
