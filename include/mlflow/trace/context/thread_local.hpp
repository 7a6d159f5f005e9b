// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>
#include <mlflow/trace/context/thread_stack.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What is current lives in thread-local storage: spans nest by the call stack, without handing anything on.
///
/// It cannot know which coroutine or callback runs. So only a local variable of a function makes its span, scope or
/// context current; one in the frame of a coroutine, on a fiber, or in an object on the heap does not. For coroutines
/// take `coroutine_context`.
class thread_local_context {
public:
    static context_slot* slot() noexcept {
        // Two objects, so that the slot can still be used by destructors that run after the release.
        static constinit thread_local context_slot slot{};
        static thread_local const releaser at_thread_exit{slot};
        return &slot;
    }
#if MLFLOW_TRACE_HOSTED
    static bool holds(const void* object) noexcept { return detail::thread_stack::holds(object); }
#endif

private:
    struct releaser {
        context_slot& slot;
        ~releaser() { slot.release(); }
    };
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
