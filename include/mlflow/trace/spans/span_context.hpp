// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/current.hpp>
#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/memory/pool.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Returns the slot of the caller. In the part of the program that made the tracer, the call can be inlined.
template <class Context>
[[gnu::always_inline]] inline context_slot* slot_by(slot_function where) noexcept {
    return where == &slot_of<Context> ? slot_of<Context>() : where();
}

__attribute__((noinline)) inline bool leave_further_out(context_slot& slot, const span_data& span,
                                                        bool is_replaced) noexcept {
    context_node* const node = find_span(slot, span);
    if (!node) return false;
    const bool is_out_of_order = !is_replaced && span.trace && node->is_root && in_turn(slot, *node);
    leave_span(slot, *node);
    if (is_out_of_order) {
        lose_track(*span.trace->owner, slot, error_kind::interleaved);
        span.trace->owner->tell_distrust();
    }
    return true;
}

// Takes the span out of the current slot. Returns false if the span was not entered there.
template <class Context>
bool leave(const span_data& span, bool is_replaced = false) noexcept {
    context_slot* const slot = slot_by<Context>(span.slot);
    if (!slot || !slot->innermost) return false;
    context_node& innermost = *slot->innermost;
    if (innermost.what != context_node::kind::span || innermost.span != &span ||
        innermost.span_generation != span.generation.load(memory_order_relaxed)) [[unlikely]]
        return leave_further_out(*slot, span, is_replaced);
    leave_span(*slot, innermost);
    return true;
}

template <class Context>
void discard_span(span_data& span) noexcept {
    const bool was_taken_here = leave<Context>(span);
    next_generation(span);
    auto& spans = pool<span_data>::instance();
    if (was_taken_here) spans.give_back(&span);
    else spans.give(&span);
}

// Called when the object of a current span has left the stack.
__attribute__((noinline)) inline void drift(const span_data& span) noexcept {
    context_slot* const slot = span.slot();
    context_node* const node = slot && slot->innermost ? find_span(*slot, span) : nullptr;
    if (!node || !node->is_bound || node->everything_is_off) return;
    if (recorder* const owner = span.trace ? span.trace->owner : node->of)
        owner->distrust(trust::all, error_kind::not_on_stack);
    if (!unbind(*node)) leave_span(*slot, *node);
}

// Makes the root span current; null enters nothing. Returns false if its object cannot be current, because the
// enclosing entries may then belong to another trace.
inline bool enter_root(context_slot& slot, recorder& owner, span_data* root, bool is_held, bool is_nested) noexcept {
    const bool is_inside = (!is_nested || !is_held) && is_in_trace(slot, owner.identity());
    const bool is_unmeant = is_inside && !is_nested;
    if (!is_held) {
        lose_track(owner, slot, is_inside ? error_kind::interleaved : error_kind::not_on_stack);
        if (is_inside) owner.tell_distrust();
        return false;
    }
    const bool is_inside_attached = attached_in(slot) != nullptr;
    if (!root || !counts(slot, is_inside_attached, owner.trusted())) return true;
    context_node* const node = enter_span(slot, root->trace, owner.identity(), *root);
    if (!node) return true;
    node->is_root = true;
    if (is_unmeant) node->is_unmeant = slot.may_be_mixed = true;
    if (!root->trace || is_unmeant) {
        owner.retain();
        node->of = &owner;
    }
    return true;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
