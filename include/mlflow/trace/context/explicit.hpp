// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>
#include <mlflow/trace/context/thread_local.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Nothing ambient: a span nests under the one whose `start_span` made it. There are no scopes; what
/// `tracer::untraced` switches off is off on its thread.
class explicit_context {
public:
    static constexpr bool is_ambient = false;
    static context_slot* slot() noexcept { return nullptr; }
#if MLFLOW_TRACE_HOSTED
    static context_slot* off_slot() noexcept { return thread_local_context::slot(); }
    static bool holds(const void* object) noexcept { return thread_local_context::holds(object); }
#else
    static context_slot* off_slot() noexcept {
        static constinit context_slot only{};
        return &only;
    }
#endif
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
