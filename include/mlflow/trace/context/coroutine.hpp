// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Own coroutine types with `coroutine_context`.

#include <mlflow/trace/context/coroutine_context.hpp>
#include <mlflow/trace/detail/awaitable.hpp>

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#if MLFLOW_TRACE_HOSTED

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The turns of a task that a coroutine takes: from one resumption to the next suspension.
class coroutine_turn {
public:
    explicit coroutine_turn(task_context task) noexcept : task_(std::move(task)) {}
    coroutine_turn(const coroutine_turn&) = delete;
    coroutine_turn& operator=(const coroutine_turn&) = delete;
    ~coroutine_turn() { leave(); }

    void enter() noexcept {
        if (!running_) running_.emplace(task_);
    }
    void leave() noexcept { running_.reset(); }

private:
    task_context task_;
    std::optional<task_context::running> running_;
};

namespace detail {

// Waits for `Awaiter`, and is out of the task's turn meanwhile. `T` is what is awaited, which lives as long.
template <class Promise, class T>
class suspending_awaiter {
public:
    suspending_awaiter(coroutine_turn& turn, T&& value)
        : turn_(turn), value_(std::forward<T>(value)), awaiter_(awaiter_of(std::forward<T>(value_))) {}
    suspending_awaiter(const suspending_awaiter&) = delete;
    suspending_awaiter& operator=(const suspending_awaiter&) = delete;

    bool await_ready() { return static_cast<bool>(awaiter_.await_ready()); }
    // Once the awaiter has begun to wait, the coroutine may run elsewhere, or be gone.
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
        } catch (...) { // then the coroutine goes on
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

// At the start of a coroutine: its turn begins with its body.
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

// At its end: its turn is over before anything else runs.
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

/// The base for the promise of an own coroutine type, so that each of its coroutines is a task of a
/// `coroutine_context`: what is current where it is called is current in it, and what it makes current stays so after
/// each suspension, on whichever thread it is resumed. Its members are used by the one thread that runs the
/// coroutine.
///
///     struct promise_type : mt::coroutine_promise<promise_type> {
///         auto initial_suspend() noexcept { return starts(std::suspend_always{}); }
///         auto final_suspend() noexcept { return finishes(std::suspend_always{}); }
///         …
///
/// A promise with an `await_transform` of its own returns `suspends(awaitable)` from it, and one with a `yield_value`
/// returns `suspends(awaiter)` from that. One whose `unhandled_exception` throws calls `stops()` first. Making a
/// coroutine throws `std::bad_alloc` without memory, as it does anyway.
template <class Promise>
class coroutine_promise {
public:
    coroutine_promise() : turn_(task_context::start()) {}

    template <class T>
    auto await_transform(T&& awaited) {
        return suspends(std::forward<T>(awaited));
    }

protected:
    template <class Awaiter>
    detail::starting_awaiter<Awaiter> starts(Awaiter awaiter) noexcept {
        return {turn_, std::move(awaiter)};
    }
    template <class Awaiter>
    detail::finishing_awaiter<Awaiter> finishes(Awaiter awaiter) noexcept {
        return {turn_, std::move(awaiter)};
    }
    template <class T>
    auto suspends(T&& awaited) {
        static_assert(
            detail::is_starting_awaiter<std::remove_cvref_t<decltype(std::declval<Promise&>().initial_suspend())>>,
            "coroutine_promise: initial_suspend must return starts(awaiter), or the coroutine begins outside its "
            "task");
        static_assert(
            detail::is_finishing_awaiter<std::remove_cvref_t<decltype(std::declval<Promise&>().final_suspend())>>,
            "coroutine_promise: final_suspend must return finishes(awaiter), or what follows runs in this task");
        return detail::suspending_awaiter<Promise, T>(turn_, std::forward<T>(awaited));
    }
    void stops() noexcept { turn_.leave(); }

private:
    coroutine_turn turn_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
