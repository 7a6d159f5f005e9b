// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// The current span lives in thread-local storage: spans nest by the call stack, without handing anything on.
class thread_local_context {
public:
    static context_slot* slot() noexcept { return &slot_; }

private:
    static inline constinit thread_local context_slot slot_{};
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
