// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>
#include <mlflow/trace/context/thread_local.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A context policy in which nothing is current: a span is a child of the span whose `start_span` made it. There are
/// no scopes. `tracer::untraced` takes effect for its thread, or on a freestanding target for the whole program.
class explicit_context {
public:
    /// Nothing is current, so scopes do not compile.
    static constexpr bool is_ambient = false;
    /// Always null.
    static context_slot* slot() noexcept { return nullptr; }
    /// Where `tracer::untraced` takes effect: on its thread, or on a freestanding target in the whole program.
    static context_slot* off_slot() noexcept {
        if constexpr (detail::machine::has_threads) return thread_local_context::slot();
        else return &detail::machine::of_thread<explicit_context, context_slot>;
    }
    /// Whether an object at this address can be current.
    static bool holds(const void* object) noexcept { return thread_local_context::holds(object); }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
