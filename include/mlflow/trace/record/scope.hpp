// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>
#include <mlflow/trace/record/trace.hpp>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// Gives its values to every trace that its tracer starts inside it, as far as the trace does not say otherwise
/// itself, and to the trace that is open around it. Made by `tracer::scope`; an inner scope wins over an outer one.
///
/// It ends where it was made: on the same thread, in reverse order, as a local variable does.
template <class Context>
class basic_scope {
public:
    template <class... Values>
    explicit basic_scope(detail::recorder& owner, const Values&... values) noexcept : slot_(Context::slot()) {
        if (!slot_) return;
        frame_.owner = owner.identity();
        (detail::apply(frame_, owner, values), ...);
        frame_.outer = slot_->scopes;
        slot_->scopes = &frame_;
        if (const detail::held_context open(slot_, owner.identity()); open.trace())
            (detail::apply(*open.trace(), values), ...);
    }
    basic_scope(const basic_scope&) = delete;
    basic_scope& operator=(const basic_scope&) = delete;
    ~basic_scope() {
        if (slot_) slot_->scopes = frame_.outer;
    }

private:
    context_slot* slot_;
    detail::scope_frame frame_;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
