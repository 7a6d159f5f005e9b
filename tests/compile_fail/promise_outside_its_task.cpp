// SPDX-License-Identifier: Apache-2.0
// error: coroutine_promise: initial_suspend must return starts\(awaiter\); otherwise the coroutine begins outside
#include <mlflow/trace.hpp>

#include <coroutine>

namespace mt = mlflow::trace;

struct task {
    struct promise_type : mt::coroutine_promise<promise_type> {
        task get_return_object() { return {}; }
#ifdef TWIN
        auto initial_suspend() { return starts(std::suspend_never{}); }
#else
        std::suspend_never initial_suspend() { return {}; }
#endif
        auto final_suspend() noexcept { return finishes(std::suspend_never{}); }
        void return_void() {}
        void unhandled_exception() {}
    };
};

task use() { co_await std::suspend_always{}; }
