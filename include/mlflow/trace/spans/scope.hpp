// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/current.hpp>
#include <mlflow/trace/spans/trace.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Gives its values to every trace that its tracer starts while the scope lives, and to the trace that is current
/// when the scope starts. Values that the trace sets itself take precedence, and an inner scope takes precedence over
/// an outer one. Made by `tracer::scope`.
///
/// Scopes may end in any order and on any thread. If a scope cannot be in force (see `thread_local_context`), it is
/// reported to the error handler, once per tracer.
template <class Context>
class basic_scope {
public:
    /// Made by the tracer.
    template <class... Values>
    explicit basic_scope(detail::recorder* owner, const Values&... values) noexcept
        : entered_(owner ? enter(*owner, this) : detail::entered_node()) {
        context_slot* const slot = entered_.slot();
        if (!slot) return;
        const auto add = [&](const auto& value) { // an error handler may end the enclosing context
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
