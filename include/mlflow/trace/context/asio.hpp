// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Boost.Asio's coroutines (`asio::awaitable`) with `coroutine_context`. Needs Boost 1.74 or later.

#include <mlflow/trace/context/coroutine_context.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <type_traits>
#include <typeinfo>
#include <utility> // Boost 1.74 uses it without including it

#if !defined(BOOST_ASIO_HAS_CO_AWAIT)
#error "Boost.Asio does not detect this compiler's coroutines: include this header before any header of \
Boost.Asio, and define BOOST_ASIO_HAS_CO_AWAIT and BOOST_ASIO_HAS_STD_COROUTINE (clang before 17, Boost before 1.81)"
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// An executor that runs every function as part of one task: what is current belongs to that task, on any thread.
/// Otherwise it behaves as the executor that it wraps. Thread-safety: as that executor.
template <class Executor>
class task_executor {
public:
    /// Runs functions on `inner`, as part of `task`.
    task_executor(Executor inner, task_context task) noexcept : inner_(std::move(inner)), task_(std::move(task)) {}

    /// The wrapped executor.
    [[nodiscard]] const Executor& inner() const noexcept { return inner_; }

    /// Submits a function, as executors do.
    template <class Function>
    void execute(Function&& function) const {
        inner_.execute([task = task_, run = std::decay_t<Function>(std::forward<Function>(function))]() mutable {
            const task_context::running here(std::move(task));
            auto once = std::move(run); // destroys what the function holds while the task is current
            std::move(once)();
        });
    }

    /// Queries a property of the wrapped executor.
    template <class Property>
        requires boost::asio::can_query_v<const Executor&, Property>
    decltype(auto) query(const Property& property) const noexcept {
        return boost::asio::query(inner_, property);
    }
    /// Returns this executor with a required property.
    template <class Property>
        requires boost::asio::can_require_v<const Executor&, Property>
    auto require(const Property& property) const {
        return with(boost::asio::require(inner_, property));
    }
    /// Returns this executor with a preferred property.
    template <class Property>
        requires boost::asio::can_prefer_v<const Executor&, Property>
    auto prefer(const Property& property) const {
        return with(boost::asio::prefer(inner_, property));
    }

    /// Whether two executors are the same executor for the same task.
    friend bool operator==(const task_executor& a, const task_executor& b) noexcept {
        return a.inner_ == b.inner_ && a.task_ == b.task_;
    }

private:
    template <class Other>
    task_executor<std::decay_t<Other>> with(Other&& inner) const {
        return {std::forward<Other>(inner), task_};
    }

    Executor inner_;
    task_context task_;
};

namespace detail {

template <class T>
inline constexpr bool is_asio_awaitable = false;
template <class T, class Executor>
inline constexpr bool is_asio_awaitable<boost::asio::awaitable<T, Executor>> = true;

template <class T>
struct asio_coroutine;
template <class T, class Executor>
struct asio_coroutine<boost::asio::awaitable<T, Executor>> {
    using executor_type = Executor;
};

// The executor without the tasks that wrap it, because tasks do not nest.
template <class Executor>
auto without_task(const Executor& executor) {
    using boost::asio::any_io_executor;
    if constexpr (std::is_convertible_v<const Executor&, any_io_executor>) {
        any_io_executor any(executor);
        using of_task = task_executor<any_io_executor>;
        while (any.target_type() == typeid(of_task)) // target() of Boost 1.74 does not check the type
            any = any_io_executor(any.template target<of_task>()->inner());
        return any;
    } else {
        return executor;
    }
}
template <class Executor>
auto without_task(const task_executor<Executor>& executor) {
    return without_task(executor.inner());
}

template <class Executor>
auto in_task(const Executor& executor, task_context task) {
    auto inner = without_task(executor);
    return task_executor<decltype(inner)>(std::move(inner), std::move(task));
}

template <class Executor, class Spawned, class Token>
auto spawn_task(const Executor& executor, Spawned&& spawned, Token&& token) {
    using coroutine =
        typename std::conditional_t<is_asio_awaitable<std::decay_t<Spawned>>, std::type_identity<Spawned>,
                                    std::invoke_result<std::decay_t<Spawned>&>>::type;
    using expected = typename asio_coroutine<std::decay_t<coroutine>>::executor_type;
    auto of_task = in_task(executor, task_context::start());
    static_assert(std::is_convertible_v<decltype(of_task), expected>,
                  "mt::co_spawn: the coroutine has another executor type; use asio::awaitable<T>, whose executor is "
                  "any_io_executor");
    return boost::asio::co_spawn(of_task, std::forward<Spawned>(spawned), std::forward<Token>(token));
}

template <class T, class Executor>
boost::asio::awaitable<T, Executor> run_branch(boost::asio::awaitable<T, Executor> coroutine, task_context task) {
    const Executor executor = co_await boost::asio::this_coro::executor;
    co_return co_await boost::asio::co_spawn(in_task(executor, std::move(task)), std::move(coroutine),
                                             boost::asio::use_awaitable_t<Executor>());
}

} // namespace detail

/// `asio::co_spawn` for a tracer with `coroutine_context`. The coroutine is a task of its own. What is current at the
/// call is current in the task, and what the task makes current stays so after each suspension, on whichever thread
/// the coroutine is resumed. Takes an executor or an execution context, an awaitable or a function that returns one,
/// and any completion token. Throws what `asio::co_spawn` throws.
///
/// Outside any task, a coroutine started by `asio::co_spawn` has no task: spans that start after a suspension are
/// recorded without a user, and an error is reported.
///
/// A coroutine that is awaited by `co_await` runs in the same task. Start each task that runs concurrently by
/// `mt::co_spawn`; a coroutine started by `asio::co_spawn` would share the task. Each branch of `a && b` or `a || b`
/// must be an `mt::branch(a)`. A function that is given a task's executor runs in that task as well, so make strands,
/// sockets and timers that others use with the executor of the execution context. A completion token with an executor
/// of its own (`asio::bind_executor`) resumes outside the task until the next suspension: a span that starts there is
/// recorded without a user, and is reported if it is still open at that suspension.
template <class Executor, class Spawned, class Token>
    requires boost::asio::is_executor<Executor>::value || boost::asio::execution::is_executor<Executor>::value
auto co_spawn(const Executor& executor, Spawned&& spawned, Token&& token) {
    return detail::spawn_task(executor, std::forward<Spawned>(spawned), std::forward<Token>(token));
}
/// The same for an execution context, such as `asio::io_context`.
template <class Context, class Spawned, class Token>
    requires std::is_convertible_v<Context&, boost::asio::execution_context&>
auto co_spawn(Context& context, Spawned&& spawned, Token&& token) {
    return detail::spawn_task(context.get_executor(), std::forward<Spawned>(spawned), std::forward<Token>(token));
}

/// Makes a coroutine a task of its own that runs concurrently with others:
/// `co_await (mt::branch(ask(a)) && mt::branch(ask(b)))`. What is current at the call is current in the branch.
/// Cancellation is passed to the coroutine.
template <class T, class Executor>
[[nodiscard]] boost::asio::awaitable<T, Executor> branch(boost::asio::awaitable<T, Executor> coroutine) {
    return detail::run_branch<T, Executor>(std::move(coroutine), task_context::start());
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
