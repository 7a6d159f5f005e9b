// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// A copy of one of the traces that wait elsewhere, another one for the next number; null where none waits.
using other_trace = trace_data*(void* from, std::size_t number) noexcept;
struct other_traces {
    void* from = nullptr;
    other_trace* next = nullptr;
};

// A copy of a finished trace, or null when memory has run out.
inline trace_data* copy_of(const trace_data& trace) noexcept {
    trace_data* const copy = pool<trace_data>::instance().take();
    if (!copy) return nullptr;
    trace_batch owner(copy);
    copy->id = trace.id;
    copy->start_unix_nano = trace.start_unix_nano;
    copy->duration_nano = trace.duration_nano;
    copy->check_identity = trace.check_identity;
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
        to->id = from->id;
        to->is_root = from->is_root;
        to->has_parent = from->has_parent;
        to->look_closer = from->look_closer;
        to->lost_something = from->lost_something;
        to->code = from->code;
        to->level = from->level;
        to->has_own_level = from->has_own_level;
        if (from == trace.root) copy->root = to;
    }
    copy->span_count = trace.span_count;
    copy->bytes = trace.bytes;
    return trace_batch(std::move(owner)).pop_front();
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
