// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>

#include <atomic>
#include <cstdint>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

namespace detail {

// Values that a scope gives to the traces of one tracer.
struct scope_frame {
    scope_frame* outer = nullptr;
    std::uint64_t owner = 0;
    trace_entries entries;
};

} // namespace detail

/// What a context policy stores per thread, task or coroutine: the innermost open span and
/// the scopes around it. Used by one thread at a time.
struct context_slot {
    span_data* current = nullptr;
    std::uint32_t generation = 0;
    detail::scope_frame* scopes = nullptr; ///< the innermost
};

namespace detail {

inline bool is_open(const span_data* span, std::uint32_t generation) noexcept {
    return span->generation.load(std::memory_order_acquire) == generation;
}

// The innermost span that is still open. Spans that ended elsewhere are skipped: their objects stay valid for ever,
// and the generation tells that they are strangers now.
inline span_data* current_span(context_slot& slot) noexcept {
    while (slot.current && !is_open(slot.current, slot.generation)) slot.current = nullptr;
    return slot.current;
}

// The innermost one of this tracer: tracers do not see into each other's traces.
inline span_data* current_span(context_slot& slot, std::uint64_t owner) noexcept {
    span_data* span = current_span(slot);
    while (span && span->owner != owner) {
        span_data* const outer = span->outer;
        span = outer && is_open(outer, span->outer_generation) ? outer : nullptr;
    }
    return span;
}

template <class Context>
span_data* current_span() noexcept {
    context_slot* const slot = Context::slot();
    return slot ? current_span(*slot) : nullptr;
}

inline void enter(context_slot& slot, span_data& span) noexcept {
    span.outer = current_span(slot);
    span.outer_generation = slot.generation;
    slot.current = &span;
    slot.generation = span.generation.load(std::memory_order_relaxed);
}

// Takes the span out, wherever it stands: spans may end in any order. One that was entered on another thread is not
// found here, and nothing happens.
inline void leave(context_slot& slot, const span_data& span) noexcept {
    span_data** link = &slot.current;
    std::uint32_t* generation = &slot.generation;
    while (*link && *link != &span) {
        if (!is_open(*link, *generation)) {
            *link = nullptr;
            return;
        }
        generation = &(*link)->outer_generation;
        link = &(*link)->outer;
    }
    if (!*link) return;
    *link = span.outer;
    *generation = span.outer_generation;
}

} // namespace detail
} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
