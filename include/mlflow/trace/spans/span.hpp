// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/traceparent.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/spans/open_span.hpp>
#include <mlflow/trace/spans/span_context.hpp>
#include <mlflow/trace/spans/span_interface.hpp>
#include <mlflow/trace/spans/span_operations.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A span that is open while this object lives, or until `end()`. Values are copied when they are set.
///
/// The functions that record are those of `span_interface`. They do nothing on a span that is not recorded (tracing
/// off, or not sampled) or has ended. Thread-safety: one thread at a time. The spans of a trace may be on different
/// threads, and a span may end on another thread than it started on, or later than the spans that enclose it. A span
/// is current where it started until it ends, if its context policy can hold it (see `thread_local_context`).
template <class Context, class Platform>
class basic_span : public span_interface<basic_span<Context, Platform>, Context> {
public:
    /// A span that records nothing.
    basic_span() noexcept = default;
    /// Takes over the span of `other`.
    basic_span(basic_span&& other) noexcept
        : span_(std::exchange(other.span_, nullptr)), hidden_(std::exchange(other.hidden_, nullptr)),
          trace_id_(std::exchange(other.trace_id_, {})), id_(std::exchange(other.id_, {})),
          exceptions_at_start_(other.exceptions_at_start_), is_unsampled_(std::exchange(other.is_unsampled_, false)) {
        settle();
    }
    /// Ends this span and takes over the span of `other`.
    basic_span& operator=(basic_span&& other) noexcept {
        if (this == &other) return *this;
        finish(other.span_ || other.hidden_);
        span_ = std::exchange(other.span_, nullptr);
        hidden_ = std::exchange(other.hidden_, nullptr);
        trace_id_ = std::exchange(other.trace_id_, {});
        id_ = std::exchange(other.id_, {});
        exceptions_at_start_ = other.exceptions_at_start_;
        is_unsampled_ = std::exchange(other.is_unsampled_, false);
        settle();
        return *this;
    }
    /// Ends the span. If an exception is unwinding the stack, the status of the span becomes an error. Type and
    /// message of the exception are known only if the library called the function (`run`, `traced`).
    ~basic_span() { end(); }

    /// Whether the span is recorded. False after `end()`.
    [[nodiscard]] bool recording() const noexcept { return span_ != nullptr; }
    /// The ID of a recorded span, also after it has ended; for a log line.
    [[nodiscard]] span_id id() const noexcept { return id_; }
    /// The ID of the trace of a recorded span, also after it has ended; for a log line, or for `tracer::trace_url`.
    [[nodiscard]] mlflow::trace::trace_id trace_id() const noexcept { return trace_id_; }
    /// This span for another process: send `span.remote().text()` as the header `traceparent`. `propagator::inject`
    /// also sends user and session.
    [[nodiscard]] remote_span remote() const noexcept {
        return span_ ? remote_span{trace_id_, id_, true, span_->trace->has_random_id} : remote_span{};
    }
    /// The URL of this trace in MLflow's page, for a log line; empty while it is not available.
    [[nodiscard]] owned_text url() const {
        return span_ ? span_->trace->owner->trace_url(span_->trace->id) : owned_text{};
    }

    /// Starts a child of this span, whatever span is current: for other threads, callbacks and `explicit_context`.
    [[nodiscard]] basic_span start_span(std::string_view name, span_type type = span_type::unknown) const noexcept {
        basic_span child;
        child.is_unsampled_ = is_unsampled_;
        if (!span_) return child;
        detail::open_trace& trace = *span_->trace;
        context_slot* const slot = detail::slot_by<Context>(span_->slot);
        if (slot && detail::is_off(*slot, trace.owner->identity())) return child;
        trace.open_spans.fetch_add(1, detail::memory_order_relaxed);
        child.adopt(detail::open_child<Platform>(trace, span_->id, name));
        if (!child.span_) return child;
        child.become_current(slot);
        child.type(type);
        return child;
    }

    /// Ends the span now; the enclosing span becomes current. Has no effect on a span that has ended.
    void end() noexcept { finish(false); }

protected:
    template <class, class, class, class, class>
    friend class tracer;
    template <class, class>
    friend class propagator;
    friend class span_interface<basic_span, Context>;

    static constexpr bool is_recorded = true;

    explicit basic_span(span_data* span) noexcept { adopt(span); }
    void adopt(span_data* span) noexcept {
        span_ = span;
        exceptions_at_start_ = detail::exceptions_in_flight();
        if (!span) return;
        trace_id_ = span->trace->id;
        id_ = span->id;
    }
    // Marks the span as not recorded. `span` has an entry in the context, but no trace, so that spans inside it are
    // not recorded either.
    void hide(span_data* span) noexcept {
        hidden_ = span;
        is_unsampled_ = true;
    }

    // Makes the span current in the slot, if this object can be current.
    void become_current(context_slot* slot) noexcept {
        if constexpr (detail::is_ambient<Context>) {
            if (!slot) return;
            detail::recorder& owner = *span_->trace->owner;
            if (is_held(*span_)) detail::enter_span(*slot, span_->trace, owner.identity(), *span_);
            else owner.distrust(detail::trust::all, error_kind::not_on_stack);
        }
    }
    // The span for another process. A trace that is not sampled has one too, so that the other process does not
    // record either.
    [[nodiscard]] remote_span as_remote() const noexcept {
        if (span_ || !is_unsampled_) return remote();
        return {Platform::new_trace_id(), Platform::new_span_id(), false, detail::has_random_trace_ids<Platform>};
    }
    // `is_replaced`: another span has been moved to this object.
    void finish(bool is_replaced) noexcept;
    // Called when the object has a new address.
    void settle() noexcept {
        if constexpr (detail::is_ambient<Context>)
            if (const span_data* const span = span_ ? span_ : hidden_; span && !is_held(*span)) detail::drift(*span);
    }
    // Whether this object can be current, in the part of the program that made the tracer.
    [[nodiscard]] bool is_held(const span_data& span) const noexcept {
        const bool is_of_this_part = span.slot == &detail::slot_of<Context> || !span.trace;
        return is_of_this_part ? detail::holds<Context>(this) : span.trace->owner->holds()(this);
    }

    template <class Result, class Function>
    Result run_coroutine(Function function) {
        return run_coroutine<Result>(span_, span_ ? span_->generation.load(detail::memory_order_relaxed) : 0,
                                     std::move(function));
    }
    // The coroutine's frame holds everything that it needs except the span. The generation shows whether the span has
    // ended.
    template <class Result, class Function>
    static Result run_coroutine(span_data* span, std::uint32_t generation, Function function) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        try {
            co_return co_await function();
        } catch (...) {
            if (span && span->generation.load(detail::memory_order_acquire) == generation) {
                basic_span same;
                same.span_ = span;
                same.current_exception();
                same.span_ = nullptr;
            }
            throw;
        }
#else
        static_cast<void>(span);
        static_cast<void>(generation);
        co_return co_await function();
#endif
    }

    [[nodiscard]] detail::span_operations writer() const noexcept { return detail::span_operations(*span_); }
    [[nodiscard]] std::uint64_t now() const noexcept {
        return Platform::monotonic_nano() + span_->trace->wall_minus_monotonic;
    }

    span_data* span_ = nullptr;
    span_data* hidden_ = nullptr;
    mlflow::trace::trace_id trace_id_;
    span_id id_;
    int exceptions_at_start_ = 0;
    bool is_unsampled_ = false; // the sampler decided not to record the span
};

template <class Context, class Platform>
void basic_span<Context, Platform>::finish(bool is_replaced) noexcept {
    if (span_data* const unrecorded = std::exchange(hidden_, nullptr)) detail::discard_span<Context>(*unrecorded);
    span_data* const span = std::exchange(span_, nullptr);
    if (!span) return;
    detail::leave<Context>(*span, is_replaced);
    const std::uint64_t end_nano = Platform::monotonic_nano() + span->trace->wall_minus_monotonic;
    detail::span_operations operations(*span);
    if (span->code == status::unset && detail::exceptions_in_flight() > exceptions_at_start_)
        operations.fail({}, "ended by an exception");
    operations.end(end_nano);
    detail::finish_span(*span, end_nano);
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
