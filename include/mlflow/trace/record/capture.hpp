// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/thread_local.hpp>
#include <mlflow/trace/record/trace_state.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

template <class Context>
class attached_context;

/// What is current at one place in the program, to be carried to another: a pool thread, a timer, a callback. Spans
/// that start where it is attached are children of the span that was current where it was captured, also after that
/// one has ended; scopes come along. Capturing throws `std::bad_alloc` when there is no memory to copy scopes.
///
/// Thread-safety: as `std::shared_ptr`; several threads may attach copies of it, or one object, at once.
template <class Context = thread_local_context>
class captured_context {
public:
    /// Nothing is current.
    captured_context() noexcept = default;
    captured_context(const captured_context& other) noexcept
        : trace_(other.trace_), span_(other.span_), owner_(other.owner_),
          everything_is_off_(other.everything_is_off_), scopes_(other.scopes_) {
        if (trace_) trace_->open_spans.fetch_add(1, std::memory_order_relaxed);
    }
    captured_context(captured_context&& other) noexcept
        : trace_(std::exchange(other.trace_, nullptr)), span_(other.span_), owner_(std::exchange(other.owner_, 0)),
          everything_is_off_(other.everything_is_off_), scopes_(std::move(other.scopes_)) {}
    captured_context& operator=(captured_context other) noexcept {
        std::swap(trace_, other.trace_);
        std::swap(span_, other.span_);
        std::swap(owner_, other.owner_);
        std::swap(everything_is_off_, other.everything_is_off_);
        scopes_.swap(other.scopes_);
        return *this;
    }
    ~captured_context() {
        if (trace_) detail::release_trace(*trace_);
    }

    /// What is current here.
    [[nodiscard]] static captured_context here() {
        captured_context captured;
        context_slot* const slot = Context::slot();
        if (!slot) return captured;
        if (const span_data* const current = detail::current_span(*slot)) {
            captured.trace_ = current->trace;
            captured.owner_ = current->owner;
            captured.everything_is_off_ = !current->trace && current->is_root;
            captured.span_ = current->id;
            if (captured.trace_) captured.trace_->open_spans.fetch_add(1, std::memory_order_relaxed);
        }
        if (slot->scopes) captured.scopes_ = std::make_shared<const scope_copies>(*slot->scopes);
        return captured;
    }

    /// Makes it current on this thread, as long as the returned object lives.
    [[nodiscard]] attached_context<Context> attach() const noexcept { return attached_context<Context>(*this); }

private:
    friend class attached_context<Context>;

    // The frames of scopes that may have ended when they are needed. Never changed, so threads share them.
    struct scope_copies {
        explicit scope_copies(const detail::scope_frame& innermost) {
            std::size_t count = 0;
            for (const auto* frame = &innermost; frame; frame = frame->outer) ++count;
            frames = std::vector<detail::scope_frame>(count);
            auto* copy = frames.data();
            for (const auto* frame = &innermost; frame; frame = frame->outer, ++copy) {
                copy->owner = frame->owner;
                copy->outer = frame->outer ? copy + 1 : nullptr;
                for (const trace_entry entry : frame->entries) copy->entries.set(entry.kind, entry.key, entry.value);
            }
        }
        std::vector<detail::scope_frame> frames;
    };

    detail::trace_state* trace_ = nullptr; // counted as one of its open spans
    span_id span_;
    std::uint64_t owner_ = 0; // 0: no span was current
    bool everything_is_off_ = false;
    std::shared_ptr<const scope_copies> scopes_;
};

/// The time during which a captured context is current. Ends on the thread that began it.
template <class Context>
class attached_context {
public:
    attached_context(const attached_context&) = delete;
    attached_context& operator=(const attached_context&) = delete;
    ~attached_context() {
        if (slot_) *slot_ = before_;
        if (!stand_in_) return;
        detail::trace_state* const trace = stand_in_->trace;
        stand_in_->generation.fetch_add(1, std::memory_order_release);
        detail::pool<span_data>::instance().give(stand_in_);
        if (trace) detail::release_trace(*trace);
    }

private:
    friend class captured_context<Context>;

    explicit attached_context(const captured_context<Context>& captured) noexcept
        : scopes_(captured.scopes_), slot_(Context::slot()) {
        if (!slot_) return;
        before_ = *slot_;
        *slot_ = {};
        if (scopes_) slot_->scopes = const_cast<detail::scope_frame*>(scopes_->frames.data());
        if (captured.owner_ == 0) return;
        stand_in_ = detail::pool<span_data>::instance().take();
        if (!stand_in_) return;
        // It stands for the captured span: what starts inside it takes it for its parent. It is never written.
        stand_in_->trace = captured.trace_;
        stand_in_->owner = captured.owner_;
        stand_in_->id = captured.span_;
        stand_in_->is_root = captured.everything_is_off_;
        stand_in_->generation.fetch_add(1, std::memory_order_relaxed);
        if (captured.trace_) captured.trace_->open_spans.fetch_add(1, std::memory_order_relaxed);
        detail::enter(*slot_, *stand_in_);
    }

    std::shared_ptr<const typename captured_context<Context>::scope_copies> scopes_;
    context_slot* slot_;
    context_slot before_;
    span_data* stand_in_ = nullptr;
};

/// What is current here, to be attached elsewhere.
template <class Context = thread_local_context>
[[nodiscard]] captured_context<Context> capture() {
    return captured_context<Context>::here();
}

/// A function that runs in the context of the place where `bind` was called:
/// `pool.post(mt::bind([&] { … }))`, `std::async(mt::bind(work), argument)`.
template <class Context = thread_local_context, class Function>
[[nodiscard]] auto bind(Function&& function) {
    return [captured = captured_context<Context>::here(),
            bound = std::forward<Function>(function)]<class... Args>(Args&&... args) mutable -> decltype(auto) {
        const auto attached = captured.attach();
        return bound(std::forward<Args>(args)...);
    };
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
