// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/captured.hpp>
#include <mlflow/trace/context/thread_local.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/detail/awaitable.hpp>

#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A copy of the current context of one place in the program, to be attached at another place: on a pool thread, in a
/// timer, in a callback. Spans that start where it is attached are children of the span that was current where it was
/// captured, even after that span has ended. Scopes and `tracer::untraced` apply there as well. Capturing throws
/// `std::bad_alloc` when memory runs out.
///
/// Thread-safety: as `std::shared_ptr`. Several threads may attach copies, or the same object, at once.
template <class Context>
class captured_context {
public:
    /// A context in which nothing is current.
    captured_context() noexcept = default;
    /// Refers to the same context.
    captured_context(const captured_context& other) noexcept
        : where_(other.where_), holds_(other.holds_), contents_(other.contents_) {
        if (contents_) contents_->retain();
    }
    /// Takes over the context of `other`.
    captured_context(captured_context&& other) noexcept
        : where_(other.where_), holds_(other.holds_), contents_(std::exchange(other.contents_, nullptr)) {}
    /// Refers to the context of `other`.
    captured_context& operator=(const captured_context& other) noexcept { return *this = captured_context(other); }
    /// Takes over the context of `other`.
    captured_context& operator=(captured_context&& other) noexcept {
        captured_context taken(std::move(other));
        where_ = taken.where_;
        holds_ = taken.holds_;
        std::swap(contents_, taken.contents_);
        return *this;
    }
    /// Releases the context.
    ~captured_context() { detail::captured_contents::release(contents_); }

    /// Captures the current context.
    [[nodiscard]] static captured_context here() { return of(&detail::slot_of<Context>, &detail::holds<Context>); }

    /// Makes the context current on this thread while the returned object lives.
    [[nodiscard]] attached_context<Context> attach() const noexcept {
        return attached_context<Context>(contents_, where_, holds_);
    }

private:
    template <class, class, class, class, class>
    friend class tracer;

    static captured_context of(detail::slot_function where, detail::holds_function holds) {
        captured_context captured;
        captured.where_ = where;
        captured.holds_ = holds;
        captured.contents_ = detail::capture(where()).release();
        return captured;
    }

    detail::slot_function where_ = &detail::slot_of<Context>;
    detail::holds_function holds_ = &detail::holds<Context>;
    detail::captured_contents* contents_ = nullptr;
};

/// Keeps a captured context current while the object lives. It may be destroyed in any order and on any thread.
/// Whatever was entered inside it is then no longer current; other attached contexts stay.
///
/// If the context cannot be current (see `thread_local_context`), nothing is current while the object lives.
template <class Context>
class attached_context {
public:
    attached_context(const attached_context&) = delete;
    attached_context& operator=(const attached_context&) = delete;
    /// Detaches the context.
    ~attached_context() {
        if (entered_.has_no_place() && entered_.is_here() && entered_.slot()->unattached != 0)
            --entered_.slot()->unattached;
    }

private:
    friend class captured_context<Context>;

    attached_context(detail::captured_contents* captured, detail::slot_function where,
                     detail::holds_function holds) noexcept
        : entered_(enter(captured, where, holds(this))) {}

    static detail::entered_node enter(detail::captured_contents* captured, detail::slot_function where,
                                      bool is_held) noexcept {
        context_slot* const slot = where();
        return {where, slot, slot ? detail::attach(*slot, captured, is_held) : nullptr};
    }

    detail::entered_node entered_;
};

/// Captures the current context, to be attached elsewhere.
template <class Context = thread_local_context>
[[nodiscard]] captured_context<Context> capture() {
    return captured_context<Context>::here();
}

namespace detail {

template <class Result>
constexpr void require_whole_call() noexcept {
    static_assert(!awaitable<Result>,
                  "bind: this function returns before its coroutine has run; use mt::coroutine_context, whose tasks "
                  "keep what is current, or pass the span to the coroutine and call its start_span");
}

template <class Context, class Function>
auto bind_captured(captured_context<Context> context, Function&& function) {
    return [captured = std::move(context),
            bound = std::forward<Function>(function)]<class... Args>(Args&&... args) mutable -> decltype(auto) {
        require_whole_call<decltype(bound(std::forward<Args>(args)...))>();
        const auto attached = captured.attach();
        return bound(std::forward<Args>(args)...);
    };
}

} // namespace detail

/// Wraps a function so that it runs in the context of the place where `bind` was called:
/// `pool.post(mt::bind([&] { … }))`, `std::async(mt::bind(work), argument)`. Throws `std::bad_alloc`.
template <class Context = thread_local_context, class Function>
[[nodiscard]] auto bind(Function&& function) {
    return detail::bind_captured(captured_context<Context>::here(), std::forward<Function>(function));
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
