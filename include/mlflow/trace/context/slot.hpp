// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/detail/pool.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

namespace detail {

using tracer_identity = std::size_t; // as wide as the atomics that every target has
inline constexpr tracer_identity any_owner = 0;

// Values that a scope gives to the traces of one tracer.
struct scope_frame {
    scope_frame* outer = nullptr;
    tracer_identity owner = 0;
    trace_entries entries;
};

// One span on the way from the innermost to the outermost. What it says about the span is a copy, since the span may
// end on another thread at any moment, and its memory become another span, of another trace.
struct context_node {
    context_node* next = nullptr;       // the span around it
    context_node* next_chain = nullptr; // of the pool

    trace_state* trace = nullptr; // null: not recorded, nor is what starts inside it
    tracer_identity owner = 0;    // which tracer's
    span_id id;
    bool everything_is_off = false;  // also traces of their own are not recorded inside it
    const span_data* span = nullptr; // null: open as long as it stands here
    std::uint32_t generation = 0;

    void recycle() noexcept {}
};

inline bool is_open(const context_node& node) noexcept {
    return !node.span || node.span->generation.load(std::memory_order_acquire) == node.generation;
}

} // namespace detail

/// What a context policy stores per thread, task or coroutine: the spans that are open there and the scopes around
/// them. Used by one thread at a time. One that goes away is given back by `release`.
struct context_slot {
    detail::context_node* current = nullptr; ///< the innermost
    detail::scope_frame* scopes = nullptr;   ///< the innermost

    /// Nothing is current any more. Spans that are open go on.
    void release() noexcept { detail::pool<detail::context_node>::instance().give(std::exchange(current, nullptr)); }
};

namespace detail {

// The innermost span of this tracer that is open, since tracers do not see into each other's traces. Those that ended
// elsewhere are taken out on the way.
inline context_node* current_node(context_slot& slot, tracer_identity owner) noexcept {
    context_node** link = &slot.current;
    while (context_node* const node = *link) {
        if (!is_open(*node)) {
            *link = node->next;
            pool<context_node>::instance().give_back(node);
        } else if (owner == any_owner || node->owner == owner) {
            return node;
        } else {
            link = &node->next;
        }
    }
    return nullptr;
}

// Makes it the innermost. Without memory it does not become current.
inline context_node* enter(context_slot& slot, trace_state* trace, tracer_identity owner, span_id id,
                           const span_data* span) noexcept {
    context_node* const node = pool<context_node>::instance().take();
    if (!node) return nullptr;
    node->next = slot.current;
    node->trace = trace;
    node->owner = owner;
    node->id = id;
    node->everything_is_off = false;
    node->span = span;
    node->generation = span ? span->generation.load(std::memory_order_relaxed) : 0;
    slot.current = node;
    return node;
}

// Takes the span out, wherever it stands: spans may end in any order. False for one that was entered elsewhere.
inline bool leave(context_slot& slot, const span_data& span) noexcept {
    const std::uint32_t generation = span.generation.load(std::memory_order_relaxed);
    for (context_node** link = &slot.current; *link; link = &(*link)->next) {
        context_node* const node = *link;
        if (node->span != &span || node->generation != generation) continue;
        *link = node->next;
        pool<context_node>::instance().give_back(node);
        return true;
    }
    return false;
}

// All of them, on the thread that entered them.
inline void leave_all(context_slot& slot) noexcept {
    while (slot.current) pool<context_node>::instance().give_back(std::exchange(slot.current, slot.current->next));
}

template <class Context>
inline constexpr bool is_ambient = true;
template <class Context>
    requires requires { requires !Context::is_ambient; }
inline constexpr bool is_ambient<Context> = false;

} // namespace detail
} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
