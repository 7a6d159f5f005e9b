// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A context policy with one slot for the whole program, for programs with one thread such as the main loop of a
/// device. An interrupt handler that records needs a tracer with `explicit_context`.
class global_context {
public:
    /// The only slot.
    static context_slot* slot() noexcept {
        static constinit context_slot only{};
        return &only;
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
