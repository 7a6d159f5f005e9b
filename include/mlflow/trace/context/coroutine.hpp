// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `coroutine_context` for coroutine types of your own.

#include <mlflow/trace/context/coroutine_context.hpp>
#include <mlflow/trace/detail/awaitable.hpp>

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#if MLFLOW_TRACE_HOSTED

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Makes a task current while one of its coroutines runs: from a resumption to the next suspension. Used by one
/// thread at a time.
class coroutine_turn {
public:
    /// A turn of `task`, which has not begun.
    explicit coroutine_turn(task_context task) noexcept : task_(std::move(task)) {}
    coroutine_turn(const coroutine_turn&) = delete;
    coroutine_turn& operator=(const coroutine_turn&) = delete;
    /// Ends the turn.
    ~coroutine_turn() { leave(); }

    /// Begins the turn on this thread, unless it has begun.
    void enter() noexcept {
        if (!running_) running_.emplace(task_);
    }
    /// Ends the turn, on the thread where it began.
    void leave() noexcept { running_.reset(); }

private:
    task_context task_;
    std::optional<task_context::running> running_;
};

namespace detail {

// Awaits a value outside the task's turn. `T` is the type of the awaited value, which lives as long as the awaiter.
template <class Promise, class T>
class suspending_awaiter {
public:
    suspending_awaiter(coroutine_turn& turn, T&& value)
        : turn_(turn), value_(std::forward<T>(value)), awaiter_(awaiter_of(std::forward<T>(value_))) {}
    suspending_awaiter(const suspending_awaiter&) = delete;
    suspending_awaiter& operator=(const suspending_awaiter&) = delete;

    bool await_ready() { return static_cast<bool>(awaiter_.await_ready()); }
    // The turn ends first: once `await_suspend` is called, another thread may resume or destroy the coroutine.
    decltype(auto) await_suspend(std::coroutine_handle<Promise> suspended) {
        turn_.leave();
        return guarded_suspend(suspended);
    }
    decltype(auto) await_resume() {
        turn_.enter();
        return awaiter_.await_resume();
    }

private:
    decltype(auto) guarded_suspend(std::coroutine_handle<Promise> suspended) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        try {
            return awaiter_.await_suspend(suspended);
        } catch (...) { // the coroutine is not suspended
            turn_.enter();
            throw;
        }
#else
        return awaiter_.await_suspend(suspended);
#endif
    }

    coroutine_turn& turn_;
    T&& value_;
    decltype(awaiter_of(std::declval<T>())) awaiter_;
};

// The initial awaiter of a coroutine, whose turn begins with its body.
template <class Awaiter>
struct starting_awaiter {
    bool await_ready() { return static_cast<bool>(awaiter.await_ready()); }
    template <class Promise>
    decltype(auto) await_suspend(std::coroutine_handle<Promise> suspended) {
        return awaiter.await_suspend(suspended);
    }
    void await_resume() {
        turn.enter();
        awaiter.await_resume();
    }
    coroutine_turn& turn;
    Awaiter awaiter;
};

// The final awaiter of a coroutine, whose turn ends before anything else runs.
template <class Awaiter>
struct finishing_awaiter {
    bool await_ready() noexcept {
        turn.leave();
        return static_cast<bool>(awaiter.await_ready());
    }
    template <class Promise>
    decltype(auto) await_suspend(std::coroutine_handle<Promise> suspended) noexcept {
        return awaiter.await_suspend(suspended);
    }
    void await_resume() noexcept { awaiter.await_resume(); }
    coroutine_turn& turn;
    Awaiter awaiter;
};

template <class T>
inline constexpr bool is_starting_awaiter = false;
template <class Awaiter>
inline constexpr bool is_starting_awaiter<starting_awaiter<Awaiter>> = true;
template <class T>
inline constexpr bool is_finishing_awaiter = false;
template <class Awaiter>
inline constexpr bool is_finishing_awaiter<finishing_awaiter<Awaiter>> = true;

} // namespace detail

/// The base of the promise of a coroutine type of your own. It makes each coroutine a task of a `coroutine_context`:
/// what is current at the call is current in the coroutine, and what the coroutine makes current stays so after each
/// suspension, on whichever thread it is resumed. Thread-safety: used by the thread that runs the coroutine.
///
///     struct promise_type : mt::coroutine_promise<promise_type> {
///         auto initial_suspend() noexcept { return starts(std::suspend_always{}); }
///         auto final_suspend() noexcept { return finishes(std::suspend_always{}); }
///         …
///
/// A promise with its own `await_transform` must return `suspends(awaitable)` from it, and one with a `yield_value`
/// must return `suspends(awaiter)`. An `unhandled_exception` that throws must call `stops()` first. Making a
/// coroutine throws `std::bad_alloc` when memory runs out.
template <class Promise>
class coroutine_promise {
public:
    /// Starts the task. Throws `std::bad_alloc`.
    coroutine_promise() : turn_(task_context::start()) {}

    /// Awaits `awaited` outside the task's turn.
    template <class T>
    auto await_transform(T&& awaited) {
        return suspends(std::forward<T>(awaited));
    }

protected:
    /// Wraps the awaiter that `initial_suspend` returns.
    template <class Awaiter>
    detail::starting_awaiter<Awaiter> starts(Awaiter awaiter) noexcept {
        return {turn_, std::move(awaiter)};
    }
    /// Wraps the awaiter that `final_suspend` returns.
    template <class Awaiter>
    detail::finishing_awaiter<Awaiter> finishes(Awaiter awaiter) noexcept {
        return {turn_, std::move(awaiter)};
    }
    /// Wraps an awaited value.
    template <class T>
    auto suspends(T&& awaited) {
        static_assert(
            detail::is_starting_awaiter<std::remove_cvref_t<decltype(std::declval<Promise&>().initial_suspend())>>,
            "coroutine_promise: initial_suspend must return starts(awaiter); otherwise the coroutine begins outside "
            "its task");
        static_assert(
            detail::is_finishing_awaiter<std::remove_cvref_t<decltype(std::declval<Promise&>().final_suspend())>>,
            "coroutine_promise: final_suspend must return finishes(awaiter); otherwise the code that follows runs in "
            "this task");
        return detail::suspending_awaiter<Promise, T>(turn_, std::forward<T>(awaited));
    }
    /// Ends the task's turn.
    void stops() noexcept { turn_.leave(); }

private:
    coroutine_turn turn_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
