// SPDX-License-Identifier: Apache-2.0
// error: returns before its coroutine has run, which this context policy does not support; use mt::coroutine_context
#include <mlflow/trace.hpp>

#include <coroutine>

namespace mt = mlflow::trace;
#ifdef TWIN
using context = mt::coroutine_context;
#else
using context = mt::thread_local_context;
#endif

struct task {
    struct promise_type {
        task get_return_object() { return {}; }
        std::suspend_never initial_suspend() { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
    bool await_ready() { return true; }
    void await_suspend(std::coroutine_handle<>) {}
    void await_resume() {}
};

void use(mt::tracer<mt::open_schema, context>::span& span) {
    span.run([]() -> task { co_return; });
}
