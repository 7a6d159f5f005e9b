// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// The current span lives in thread-local storage: spans nest by the call stack, without handing anything on.
class thread_local_context {
public:
    static context_slot* slot() noexcept {
        // Two objects, so that the slot can still be used by destructors that run after the release.
        static constinit thread_local context_slot slot{};
        static thread_local const releaser at_thread_exit{slot};
        return &slot;
    }

private:
    struct releaser {
        context_slot& slot;
        ~releaser() { slot.release(); }
    };
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
