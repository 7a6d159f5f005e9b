// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/current.hpp>
#include <mlflow/trace/spans/trace.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Gives its values to every trace that its tracer starts inside it, as far as the trace does not say otherwise
/// itself, and to the trace that is open around it. Made by `tracer::scope`; an inner scope wins over an outer one.
///
/// It may end in any order and on any thread; the scopes that are left stay in force. Where it cannot be in force
/// (see `thread_local_context`), the error handler is called, once for its tracer.
template <class Context>
class basic_scope {
public:
    template <class... Values>
    explicit basic_scope(detail::recorder* owner, const Values&... values) noexcept
        : entered_(owner ? enter(*owner, this) : detail::entered_node()) {
        context_slot* const slot = entered_.slot();
        if (!slot) return;
        const auto add = [&](const auto& value) { // an error handler may end the context around it
            if (detail::context_node* const node = entered_.get()) detail::apply(node->entries, *owner, value);
        };
        (add(values), ...);
        if (const detail::held_context open(slot, owner->identity(), owner->trusted()); open.trace())
            (detail::apply(*open.trace(), values), ...);
    }
    basic_scope(const basic_scope&) = delete;
    basic_scope& operator=(const basic_scope&) = delete;

private:
    static detail::entered_node enter(detail::recorder& owner, void* object) noexcept {
        const detail::slot_function where = owner.slot();
        context_slot* const slot = where();
        detail::context_node* node = nullptr;
        if (slot && !owner.holds()(object)) {
            detail::lose_track(owner, *slot, error_kind::not_on_stack);
            owner.tell_distrust();
        } else if (slot) {
            node = detail::enter(*slot, detail::context_node::kind::scope, owner.identity());
            if (!node) owner.report({error_kind::out_of_memory, "scope"});
        }
        if (node) {
            owner.retain();
            node->of = &owner;
        }
        return {where, slot, node};
    }

    detail::entered_node entered_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
