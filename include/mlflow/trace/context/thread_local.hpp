// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>
#include <mlflow/trace/context/thread_stack.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The default context policy: what is current is stored in thread-local storage, so that spans nest by the call
/// stack.
///
/// The policy cannot tell which coroutine or callback runs. Therefore a span, scope or context is current only if its
/// object is a local variable of a function, and not if the object is in the frame of a coroutine, on the stack of a
/// fiber, or on the heap. For coroutines use `coroutine_context`.
class thread_local_context {
public:
    /// The slot of this thread.
    static context_slot* slot() noexcept {
        // The slot and its releaser are separate objects, so that destructors that run after the release can still
        // use the slot.
        static constinit thread_local context_slot slot{};
        static thread_local const releaser at_thread_exit{slot};
        return &slot;
    }
    /// Whether the object is a local variable of a function that runs on this thread.
    static bool holds(const void* object) noexcept { return detail::thread_stack::holds(object); }

private:
    struct releaser {
        context_slot& slot;
        ~releaser() { slot.release(); }
    };
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
