// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>

#include <cstddef>
#include <new>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// What stands beside the entries and spans of a finished trace, and beside the body of a span.
inline void copy_description(trace_data& copy, const trace_data& trace) noexcept {
    copy.id = trace.id;
    copy.start_unix_nano = trace.start_unix_nano;
    copy.duration_nano = trace.duration_nano;
    copy.check_identity = trace.check_identity;
}
inline void copy_description(span_data& copy, const span_data& span) noexcept {
    copy.id = span.id;
    copy.is_root = span.is_root;
    copy.has_parent = span.has_parent;
    copy.look_closer = span.look_closer;
    copy.lost_something = span.lost_something;
    copy.code = span.code;
    copy.level = span.level;
    copy.has_own_level = span.has_own_level;
}

// The memory of such a copy.
inline std::size_t packed_memory(const trace_data& trace) noexcept {
    return trace_data::memory_for(trace.span_count, trace.bytes, trace.entries.bytes());
}
inline bool is_worth_packing(const trace_data& trace) noexcept { return trace.memory() >= 2 * packed_memory(trace); }

template <class T>
T* make_packed() noexcept {
    void* const memory = machine::reallocate(nullptr, sizeof(T));
    T* const made = memory ? ::new (memory) T : nullptr;
    if (made) made->is_packed = true;
    return made;
}

// A copy of a finished trace in blocks of its size, or null when memory has run out. It does not come from the pool,
// whose objects go back to where they are recorded.
inline trace_data* packed(const trace_data& trace) noexcept {
    trace_data* const copy = make_packed<trace_data>();
    if (!copy) return nullptr;
    trace_batch owner(copy);
    copy_description(*copy, trace);
    if (!copy->entries.copy_exactly(trace.entries)) return nullptr;
    span_data** next = &copy->spans;
    for (const span_data* from = trace.spans; from; from = from->next) {
        span_data* const to = make_packed<span_data>();
        if (!to) return nullptr;
        *next = to;
        next = &to->next;
        copy_description(*to, *from);
        if (!to->body.reserve_exactly(from->body.size()) || !to->body.append(from->body.view())) return nullptr;
        if (from == trace.root) copy->root = to;
    }
    copy->span_count = trace.span_count;
    copy->bytes = copy->capacity = trace.bytes;
    return trace_batch(std::move(owner)).pop_front();
}

// Replaces those that hold far more than they say.
inline void pack(trace_batch& traces) noexcept {
    trace_batch result;
    while (trace_data* const trace = traces.pop_front()) {
        trace_data* const copy = is_worth_packing(*trace) ? packed(*trace) : nullptr;
        result.push_back(copy ? copy : trace);
        if (copy) pool<trace_data>::instance().give(trace);
    }
    traces = std::move(result);
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
