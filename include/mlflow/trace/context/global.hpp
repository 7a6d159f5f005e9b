// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The current span lives in one place for the whole program: for a program of one thread, such as the main loop of a
/// device. Interrupt handlers that record take `explicit_context`.
class global_context {
public:
    static context_slot* slot() noexcept {
        static constinit context_slot only{};
        return &only;
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
