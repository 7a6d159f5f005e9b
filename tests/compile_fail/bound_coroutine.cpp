// SPDX-License-Identifier: Apache-2.0
// error: bind: this function returns before its coroutine has run; use mt::coroutine_context
#include <mlflow/trace.hpp>

#include <coroutine>

namespace mt = mlflow::trace;

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

void use() {
#ifdef TWIN
    mt::bind([] {})();
#else
    mt::bind([]() -> task { co_return; })();
#endif
}
