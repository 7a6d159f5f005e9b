// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/current.hpp>
#include <mlflow/trace/core/traceparent.hpp>
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/spans/span_interface.hpp>
#include <mlflow/trace/spans/span_operations.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

template <class Platform>
inline constexpr bool has_random_trace_ids = requires { requires Platform::has_random_trace_ids; };

// The slot of whoever calls it; in the part of the program that made the tracer it can be inlined.
template <class Context>
context_slot* slot_by(slot_function where) noexcept {
    return where == &slot_of<Context> ? slot_of<Context>() : where();
}

__attribute__((noinline)) inline bool leave_further_out(context_slot& slot, const span_data& span,
                                                        bool is_replaced) noexcept {
    context_node** const link = find_span(slot, span);
    if (!link) return false;
    const bool is_out_of_order = !is_replaced && span.trace && (*link)->is_root && in_turn(slot, **link);
    leave_span(*link);
    if (is_out_of_order) {
        lose_track(*span.trace->owner, slot, error_kind::interleaved);
        span.trace->owner->tell_distrust();
    }
    return true;
}

// True when the span was entered in the slot that is here.
template <class Context>
bool leave(const span_data& span, bool is_replaced = false) noexcept {
    context_slot* const slot = slot_by<Context>(span.slot);
    if (!slot || !slot->innermost) return false;
    const context_node& innermost = *slot->innermost;
    if (innermost.what != context_node::kind::span || innermost.span != &span ||
        innermost.span_generation != span.generation.load(std::memory_order_relaxed)) [[unlikely]]
        return leave_further_out(*slot, span, is_replaced);
    leave_span(slot->innermost);
    return true;
}

template <class Platform>
std::uint64_t wall_minus_monotonic(std::uint64_t monotonic) noexcept {
    if constexpr (requires { requires std::is_same_v<typename Platform::owner_of_clocks, Platform>; })
        return Platform::wall_minus_monotonic(monotonic);
    else return Platform::wall_nano() - monotonic;
}

template <class Context>
void discard_span(span_data& span) noexcept {
    const bool was_taken_here = leave<Context>(span);
    next_generation(span);
    auto& spans = pool<span_data>::instance();
    if (was_taken_here) spans.give_back(&span);
    else spans.give(&span);
}

// The object of a span that is current has left the stack.
__attribute__((noinline)) inline void drift(const span_data& span) noexcept {
    context_slot* const slot = span.slot();
    context_node** const link = slot && slot->innermost ? find_span(*slot, span) : nullptr;
    if (!link || !(*link)->is_bound || (*link)->everything_is_off) return;
    if (recorder* const owner = span.trace ? span.trace->owner : (*link)->of)
        owner->distrust(trust::all, error_kind::not_on_stack);
    if (!unbind(*link)) leave_span(*link);
}

} // namespace detail

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
        trace.open_spans.fetch_add(1, std::memory_order_relaxed);
        child.adopt(open_child(trace, span_->id, name));
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
        return run_coroutine<Result>(span_, span_ ? span_->generation.load(std::memory_order_relaxed) : 0,
                                     std::move(function));
    }
    // All that it needs is in its frame, but for the span, of which it sees whether it still is the same.
    template <class Result, class Function>
    static Result run_coroutine(span_data* span, std::uint32_t generation, Function function) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        try {
            co_return co_await function();
        } catch (...) {
            if (span && span->generation.load(std::memory_order_acquire) == generation) {
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

    // Null, and counted as lost, without memory.
    static span_data* open_root(detail::recorder& owner, const mlflow::trace::trace_id& id, span_id parent,
                                std::string_view name, bool check_identity_at_end) noexcept;
    // The trace is held once more by the caller, who hands that over.
    static span_data* open_child(detail::open_trace& trace, span_id parent, std::string_view name) noexcept;
    static void open(detail::open_trace& trace, span_data& span, span_id parent, std::string_view name,
                     std::uint64_t start_nano) noexcept;

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
void basic_span<Context, Platform>::open(detail::open_trace& trace, span_data& span, span_id parent,
                                         std::string_view name, std::uint64_t start_nano) noexcept {
    span.trace = &trace;
    span.slot = trace.owner->slot();
    span.process = trace.owner->process();
    span.id = Platform::new_span_id();
    span.has_parent = parent.valid();
    span.needs_rewrite = span.lost_something = span.has_own_level = false;
    span.level = log_level::debug;
    span.code = status::unset;
    span.chunks = span.attributes = span.events = span.dropped_attributes = span.dropped_events = 0;
    span.body.rules = nullptr;
    detail::next_generation(span);
    detail::write_whole(
        span, [&](auto& out) { return detail::append_span_start(out, trace.id, span.id, parent, name, start_nano); });
    span.body.rules = trace.owner->rules();
    trace.owner->count_started_span();
}

template <class Context, class Platform>
span_data* basic_span<Context, Platform>::open_root(detail::recorder& owner, const mlflow::trace::trace_id& id,
                                                    span_id parent, std::string_view name,
                                                    bool check_identity_at_end) noexcept {
    auto& traces = detail::pool<detail::open_trace>::instance();
    auto& parts = detail::pool<trace_data>::instance();
    detail::open_trace* const trace = traces.take();
    trace_data* const data = parts.take();
    span_data* const span = detail::pool<span_data>::instance().take();
    if (!trace || !data || !span) {
        traces.give(trace);
        parts.give(data);
        detail::pool<span_data>::instance().give(span);
        owner.count_started_span();
        owner.count_lost_span();
        return nullptr;
    }
    const std::uint64_t monotonic = Platform::monotonic_nano();
    const std::uint64_t difference = detail::wall_minus_monotonic<Platform>(monotonic);
    const std::uint64_t wall = monotonic + difference;
    owner.retain();
    trace->owner = &owner;
    trace->id = data->id = id;
    data->check_identity = check_identity_at_end;
    trace->wall_minus_monotonic = difference;
    data->start_unix_nano = wall;
    trace->data = data;
    trace->open_spans.store(1, std::memory_order_release); // publishes the above to who still held an earlier trace
    span->is_root = true;
    open(*trace, *span, parent, name, wall);
    return span;
}

template <class Context, class Platform>
span_data* basic_span<Context, Platform>::open_child(detail::open_trace& trace, span_id parent,
                                                     std::string_view name) noexcept {
    span_data* const span = detail::pool<span_data>::instance().take();
    if (!span) {
        trace.owner->count_started_span();
        trace.owner->count_lost_span();
        detail::release_trace(trace);
        return nullptr;
    }
    span->is_root = false;
    open(trace, *span, parent, name, Platform::monotonic_nano() + trace.wall_minus_monotonic);
    return span;
}

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
