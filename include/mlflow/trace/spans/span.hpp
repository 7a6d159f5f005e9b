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

/// A span that is open as long as this object, or until `end()`. What is set is copied at once.
///
/// What it records is in `span_interface`; on a span that is not recorded (tracing off, not sampled) or has ended
/// those functions do nothing. Thread-safety: one thread at a time; spans of one trace may be on different threads,
/// and a span may end on another thread than it started on, or later than the spans around it. It stays current where
/// it started until it ends, as far as its context policy can hold it (see `thread_local_context`).
template <class Context, class Platform>
class basic_span : public span_interface<basic_span<Context, Platform>, Context> {
public:
    basic_span() noexcept = default;
    basic_span(basic_span&& other) noexcept
        : span_(std::exchange(other.span_, nullptr)), hidden_(std::exchange(other.hidden_, nullptr)),
          trace_id_(std::exchange(other.trace_id_, {})), id_(std::exchange(other.id_, {})),
          exceptions_at_start_(other.exceptions_at_start_), is_unsampled_(std::exchange(other.is_unsampled_, false)) {
        settle();
    }
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
    /// Ends the span. When it runs because an exception unwinds the stack, the span's status is an error; type and
    /// message are known only where the library runs the function (`run`, `traced`).
    ~basic_span() { end(); }

    /// Is anything recorded? False after `end()`.
    [[nodiscard]] bool recording() const noexcept { return span_ != nullptr; }
    /// Of a span that is recorded, also after it has ended, as is `trace_id`: for a log line, or for
    /// `tracer::trace_url`.
    [[nodiscard]] span_id id() const noexcept { return id_; }
    [[nodiscard]] mlflow::trace::trace_id trace_id() const noexcept { return trace_id_; }
    /// This span for another process: send `span.remote().text()` as the header `traceparent`. With user and session:
    /// `propagator::inject`.
    [[nodiscard]] remote_span remote() const noexcept {
        return span_ ? remote_span{trace_id_, id_, true, span_->trace->has_random_id} : remote_span{};
    }
    /// Where to look at this trace in MLflow's page, for a log line; empty when the exporter knows no page (yet).
    [[nodiscard]] owned_text url() const {
        return span_ ? span_->trace->owner->trace_url(span_->trace->id) : owned_text{};
    }

    /// Starts a span inside this one, whatever is current here: for other threads, callbacks and `explicit_context`.
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

    /// Ends the span now; its context becomes the one around it. Again: nothing.
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
    // Not recorded, nor is what starts inside it: its span stands in the context, and belongs to no trace.
    void hide(span_data* span) noexcept {
        hidden_ = span;
        is_unsampled_ = true;
    }

    // Inside what is current in this slot, as far as the object can be current.
    void become_current(context_slot* slot) noexcept {
        if constexpr (detail::is_ambient<Context>) {
            if (!slot) return;
            detail::recorder& owner = *span_->trace->owner;
            if (is_held(*span_)) detail::enter_span(*slot, span_->trace, owner.identity(), *span_);
            else owner.distrust(detail::trust::all, error_kind::not_on_stack);
        }
    }
    // For other processes: also that a trace is not recorded since it was not sampled.
    [[nodiscard]] remote_span as_remote() const noexcept {
        if (span_ || !is_unsampled_) return remote();
        return {Platform::new_trace_id(), Platform::new_span_id(), false, detail::has_random_trace_ids<Platform>};
    }
    // `is_replaced`: by one that has started, in the same object.
    void finish(bool is_replaced) noexcept;
    // The object has its place.
    void settle() noexcept {
        if constexpr (detail::is_ambient<Context>)
            if (const span_data* const span = span_ ? span_ : hidden_; span && !is_held(*span)) detail::drift(*span);
    }
    // Can this object be current, in the part of the program that made the tracer?
    [[nodiscard]] bool is_held(const span_data& span) const noexcept {
        const bool is_of_this_part = span.slot == &detail::slot_of<Context> || !span.trace;
        return is_of_this_part ? detail::holds<Context>(this) : span.trace->owner->holds()(this);
    }

    template <class Result, class Function>
    Result run_coroutine(Function function) {
        return run_coroutine<Result>(span_, span_ ? span_->generation.load(detail::memory_order_relaxed) : 0,
                                     std::move(function));
    }
    // All that it needs is in its frame, but for the span, of which it sees whether it still is the same.
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
    bool is_unsampled_ = false; // it would be recorded, if a sampler had not decided otherwise
};

template <class Context, class Platform>
void basic_span<Context, Platform>::finish(bool is_replaced) noexcept {
    if (span_data* const unrecorded = std::exchange(hidden_, nullptr)) detail::discard_span<Context>(*unrecorded);
    span_data* const span = std::exchange(span_, nullptr);
    if (!span) return;
    detail::leave<Context>(*span, is_replaced);
    const std::uint64_t end_nano = Platform::monotonic_nano() + span->trace->wall_minus_monotonic;
    detail::span_operations operations(*span);
    if (span->code == status::unset) {
        if (detail::exceptions_in_flight() > exceptions_at_start_) operations.fail({}, "ended by an exception");
        else operations.set_status(status::ok, {});
    }
    operations.end(end_nano);
    detail::finish_span(*span, end_nano);
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
