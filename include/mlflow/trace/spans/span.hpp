// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/traceparent.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/awaitable.hpp>
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/spans/open_span.hpp>
#include <mlflow/trace/spans/span_context.hpp>
#include <mlflow/trace/spans/span_operations.hpp>
#include <mlflow/trace/text/exception_text.hpp>

#include <cstdint>
#include <exception>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A span that is open as long as this object, or until `end()`. What is set is copied at once.
///
/// None of its functions throws, blocks or fails visibly: a value that is refused is left out and reported to the
/// tracer's error handler. On a span that is not recorded (tracing off, not sampled) or has ended they do nothing.
/// Thread-safety: one thread at a time; spans of one trace may be on different threads, and a span may end on another
/// thread than it started on, or later than the spans around it. It stays current where it started until it ends, as
/// far as its context policy can hold it (see `thread_local_context`).
template <class Context, class Platform>
class basic_span {
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

    /// An attribute with OTLP's types for text, bool, integers and floating point; other values as JSON. Here and
    /// below a value may be a callable that makes it: it is called only when the span is recorded.
    template <class T>
    basic_span& attribute(std::string_view key, const T& value) noexcept {
        if (span_) writer().attribute(key, value);
        return *this;
    }
    /// The inputs by name: `span.inputs(mt::arg("question", q), mt::arg("k", 5))`.
    template <class First, class... T>
    basic_span& inputs(const named_value<First>& first, const named_value<T>&... rest) noexcept {
        if (span_) writer().json_object_attribute(detail::mlflow_names::span_inputs, first, rest...);
        return *this;
    }
    /// The input as one value.
    template <class T>
    basic_span& inputs(const T& value) noexcept {
        if (span_) writer().json_attribute(detail::mlflow_names::span_inputs, value);
        return *this;
    }
    template <class First, class... T>
    basic_span& outputs(const named_value<First>& first, const named_value<T>&... rest) noexcept {
        if (span_) writer().json_object_attribute(detail::mlflow_names::span_outputs, first, rest...);
        return *this;
    }
    template <class T>
    basic_span& outputs(const T& value) noexcept {
        if (span_) writer().json_attribute(detail::mlflow_names::span_outputs, value);
        return *this;
    }
    /// What happened at a moment within the span.
    template <class... T>
    basic_span& event(std::string_view name, const named_value<T>&... attributes) noexcept {
        if (span_) writer().event(now(), name, attributes...);
        return *this;
    }
    /// One piece of a streamed answer: MLflow's event `mlflow.chunk.item.<i>`, counted from 0.
    template <class T>
    basic_span& chunk(const T& value) noexcept;

    basic_span& type(span_type type) noexcept {
        if (span_) writer().type(type);
        return *this;
    }
    basic_span& model(std::string_view name) noexcept {
        if (span_) writer().own_attribute(detail::mlflow_names::model, name);
        return *this;
    }
    basic_span& provider(std::string_view name) noexcept {
        if (span_) writer().own_attribute(detail::mlflow_names::provider, name);
        return *this;
    }
    /// MLflow sums them over the spans of the trace. Refused over 2^63 - 1, where MLflow cannot read the trace again.
    basic_span& usage(token_usage used) noexcept {
        if (!span_) return *this;
        if (used.total == 0) used.total = used.input + used.output;
        writer().usage(used);
        return *this;
    }
    /// MLflow sums it over the spans of the trace. Refused unless finite: MLflow would refuse the whole request.
    basic_span& cost(llm_cost spent) noexcept {
        if (!span_) return *this;
        if (spent.total == 0) spent.total = spent.input + spent.output;
        using detail::is_finite;
        if (!is_finite(spent.input) || !is_finite(spent.output) || !is_finite(spent.total))
            writer().refuse(detail::mlflow_names::cost);
        else
            writer().own_json_object(detail::mlflow_names::cost, arg("input_cost", spent.input),
                                     arg("output_cost", spent.output), arg("total_cost", spent.total));
        return *this;
    }
    /// How serious it is; without it, what the type says (`default_log_level`), and at least `error` with an
    /// exception.
    basic_span& level(log_level level) noexcept {
        if (span_) writer().level(level);
        return *this;
    }
    /// Points at a span of another trace, such as the one that asked for this work.
    template <class... T>
    basic_span& link(const mlflow::trace::trace_id& trace, span_id span,
                     const named_value<T>&... attributes) noexcept {
        if (span_) writer().link(trace, span, attributes...);
        return *this;
    }
    /// Without it, a span that ends normally is `ok`.
    basic_span& set_status(status code, std::string_view message = {}) noexcept {
        if (span_) writer().set_status(code, message);
        return *this;
    }
    /// Records the exception as an event and as the reason of an error status.
    basic_span& exception(std::string_view type, std::string_view message) noexcept {
        if (!span_) return *this;
        writer().event(now(), "exception", arg("exception.type", type), arg("exception.message", message));
        if (span_) writer().fail(type, message); // a redactor may have ended it
        return *this;
    }
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    basic_span& exception(const std::exception& thrown) noexcept {
        return exception(detail::exception_type(thrown).view(), thrown.what());
    }
    /// The exception that is being handled: call it in a `catch` block.
    basic_span& current_exception() noexcept;
#endif

    /// Runs `function`, records an exception that leaves it, and lets it go on. Where it returns an awaitable of a
    /// coroutine type (`co_await span.run([&]() -> asio::awaitable<int> { … })`), a coroutine of that type is
    /// returned, which does the same when it is awaited; it may outlive the span, and then records nothing.
    template <class Function>
    decltype(auto) run(Function&& function) {
        using result = decltype(std::forward<Function>(function)());
        if constexpr (detail::awaitable<result>) {
            detail::require_coroutine<Context, result>();
            return run_coroutine<result>(span_, span_ ? span_->generation.load(detail::memory_order_relaxed) : 0,
                                         std::decay_t<Function>(std::forward<Function>(function)));
        } else {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
            try {
                return std::forward<Function>(function)();
            } catch (...) {
                current_exception();
                throw;
            }
#else
            return std::forward<Function>(function)();
#endif
        }
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
template <class T>
basic_span<Context, Platform>& basic_span<Context, Platform>::chunk(const T& value) noexcept {
    if (!span_) return *this;
    constexpr std::string_view prefix = "mlflow.chunk.item.";
    char name[40];
    char* end = detail::write_bytes(name, prefix);
    char digits[10];
    char* digit = digits + sizeof digits;
    std::uint32_t index = span_->chunks++;
    do *--digit = static_cast<char>('0' + index % 10);
    while (index /= 10);
    end = detail::write_bytes(end, {digit, static_cast<std::size_t>(digits + sizeof digits - digit)});
    const detail::as_json<T> as_text{value}; // what the Python client stores: the chunk's JSON as text
    writer().event(now(), {name, static_cast<std::size_t>(end - name)}, arg("mlflow.chunk.value", as_text));
    return *this;
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

#if MLFLOW_TRACE_HAS_EXCEPTIONS
template <class Context, class Platform>
basic_span<Context, Platform>& basic_span<Context, Platform>::current_exception() noexcept {
    if (detail::is_thread_ending()) return set_status(status::error, "ended with its thread");
    try {
        throw;
    } catch (const std::exception& thrown) {
        return exception(thrown);
    } catch (...) {
        return exception(detail::current_exception_type().view(), "not a std::exception");
    }
}
#endif

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
