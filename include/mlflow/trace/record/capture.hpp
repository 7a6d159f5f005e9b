// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/thread_local.hpp>
#include <mlflow/trace/record/trace_state.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

template <class Context>
class attached_context;

/// What is current at one place in the program, to be carried to another: a pool thread, a timer, a callback. Spans
/// that start where it is attached are children of the span that was current where it was captured, also after that
/// one has ended; scopes come along. Capturing throws `std::bad_alloc` when there is no memory for it.
///
/// Thread-safety: as `std::shared_ptr`; several threads may attach copies of it, or one object, at once.
template <class Context = thread_local_context>
class captured_context {
public:
    /// Nothing is current.
    captured_context() noexcept = default;

    /// What is current here.
    [[nodiscard]] static captured_context here() {
        captured_context captured;
        context_slot* const slot = Context::slot();
        if (slot && (slot->current || slot->scopes)) captured.contents_ = std::make_shared<const contents>(*slot);
        return captured;
    }

    /// Makes it current on this thread, as long as the returned object lives.
    [[nodiscard]] attached_context<Context> attach() const noexcept { return attached_context<Context>(contents_); }

private:
    friend class attached_context<Context>;

    // Never changed, so threads share it.
    struct contents {
        explicit contents(context_slot& slot) {
            copy_spans(slot);
            copy_scopes(slot.scopes);
        }

        // The innermost span of each tracer, the outermost first.
        void copy_spans(context_slot& slot) {
            std::vector<detail::tracer_identity> owners;
            for (const auto* node = slot.current; node; node = node->next) {
                bool is_known = false;
                for (const auto owner : owners) is_known = is_known || owner == node->owner;
                if (!is_known) owners.push_back(node->owner);
            }
            spans.reserve(owners.size());
            for (; !owners.empty(); owners.pop_back())
                if (detail::held_context span(&slot, owners.back()); span) spans.push_back(std::move(span));
        }

        // They may have ended when they are needed.
        void copy_scopes(const detail::scope_frame* innermost) {
            std::size_t count = 0;
            for (const auto* frame = innermost; frame; frame = frame->outer) ++count;
            scopes = std::vector<detail::scope_frame>(count);
            auto* copy = scopes.data();
            for (const auto* frame = innermost; frame; frame = frame->outer, ++copy) {
                copy->owner = frame->owner;
                copy->outer = frame->outer ? copy + 1 : nullptr;
                for (const trace_entry entry : frame->entries) copy->entries.set(entry.kind, entry.key, entry.value);
            }
        }

        std::vector<detail::held_context> spans;
        std::vector<detail::scope_frame> scopes;
    };

    std::shared_ptr<const contents> contents_;
};

/// The time during which a captured context is current. Ends on the thread that began it.
template <class Context>
class attached_context {
public:
    attached_context(const attached_context&) = delete;
    attached_context& operator=(const attached_context&) = delete;
    ~attached_context() {
        if (!slot_) return;
        detail::leave_all(*slot_);
        *slot_ = before_;
    }

private:
    friend class captured_context<Context>;
    using contents = typename captured_context<Context>::contents;

    explicit attached_context(std::shared_ptr<const contents> captured) noexcept
        : contents_(std::move(captured)), slot_(Context::slot()) {
        if (!slot_) return;
        before_ = std::exchange(*slot_, context_slot{});
        if (!contents_) return;
        if (!contents_->scopes.empty()) slot_->scopes = const_cast<detail::scope_frame*>(contents_->scopes.data());
        for (const detail::held_context& span : contents_->spans) {
            auto* const node = detail::enter(*slot_, span.trace(), span.owner(), span.span(), nullptr);
            if (node) node->everything_is_off = span.everything_is_off();
        }
    }

    std::shared_ptr<const contents> contents_; // holds the traces
    context_slot* slot_;
    context_slot before_;
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
