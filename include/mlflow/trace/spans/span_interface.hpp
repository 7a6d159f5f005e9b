// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/current.hpp>
#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/span_kinds.hpp>
#include <mlflow/trace/detail/awaitable.hpp>
#include <mlflow/trace/spans/span_operations.hpp>
#include <mlflow/trace/text/exception_text.hpp>

#include <cstdint>
#include <exception>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

template <class Context, class Result>
constexpr void require_coroutine() noexcept {
    static_assert(
        follows_coroutines<Context>,
        "run and traced: this function returns before its coroutine has run, and this context policy cannot "
        "follow it; take mt::coroutine_context (see mlflow/trace/context/asio.hpp) or mt::explicit_context");
    static_assert(coroutine<Result>,
                  "run and traced: what this function returns can be awaited, but no coroutine can "
                  "return it; await it in a coroutine, and give that one");
}

} // namespace detail

/// What every span records, whether its tracer records (`basic_span`) or is off at compile time (`unrecorded_span`):
/// both compile the same calls, with the same checks. `Span` runs the writers that it is given, or drops them.
///
/// None of these functions throws, blocks or fails visibly: a value that is rejected is left out and reported to the
/// tracer's error handler. On a span that is not recorded or has ended they do nothing.
template <class Span, class Context>
class span_interface {
public:
    /// An attribute with OTLP's types for text, bool, integers and floating point; other values as JSON. Here and
    /// below a value may be a callable that makes it: it is called only when the span is recorded.
    template <class T>
    Span& attribute(std::string_view key, const T& value) noexcept {
        return write([&](detail::span_operations span) { span.attribute(key, value); });
    }
    /// The inputs by name: `span.inputs(mt::arg("question", q), mt::arg("k", 5))`.
    template <class First, class... T>
    Span& inputs(const named_value<First>& first, const named_value<T>&... rest) noexcept {
        return write([&](detail::span_operations span) {
            span.json_object_attribute(detail::mlflow_names::span_inputs, first, rest...);
        });
    }
    /// The input as one value.
    template <class T>
    Span& inputs(const T& value) noexcept {
        return write(
            [&](detail::span_operations span) { span.json_attribute(detail::mlflow_names::span_inputs, value); });
    }
    template <class First, class... T>
    Span& outputs(const named_value<First>& first, const named_value<T>&... rest) noexcept {
        return write([&](detail::span_operations span) {
            span.json_object_attribute(detail::mlflow_names::span_outputs, first, rest...);
        });
    }
    template <class T>
    Span& outputs(const T& value) noexcept {
        return write(
            [&](detail::span_operations span) { span.json_attribute(detail::mlflow_names::span_outputs, value); });
    }
    /// What happened at a moment within the span.
    template <class... T>
    Span& event(std::string_view name, const named_value<T>&... attributes) noexcept {
        return write([&](detail::span_operations span) { span.event(self().now(), name, attributes...); });
    }
    /// One piece of a streamed answer: MLflow's event `mlflow.chunk.item.<i>`, counted from 0.
    template <class T>
    Span& chunk(const T& value) noexcept {
        return write([&](detail::span_operations span) { span.chunk(self().now(), value); });
    }

    Span& type(span_type type) noexcept {
        return write([&](detail::span_operations span) { span.type(type); });
    }
    Span& model(std::string_view name) noexcept {
        return write([&](detail::span_operations span) { span.own_attribute(detail::mlflow_names::model, name); });
    }
    Span& provider(std::string_view name) noexcept {
        return write([&](detail::span_operations span) { span.own_attribute(detail::mlflow_names::provider, name); });
    }
    /// MLflow sums them over the spans of the trace. Rejected over 2^63 - 1, where MLflow cannot read the trace
    /// again.
    Span& usage(token_usage used) noexcept {
        return write([&](detail::span_operations span) { span.usage(used); });
    }
    /// MLflow sums it over the spans of the trace. Rejected unless finite: MLflow would reject the whole request.
    Span& cost(llm_cost spent) noexcept {
        return write([&](detail::span_operations span) { span.cost(spent); });
    }
    /// How serious it is; without it, what the type says (`default_log_level`), and at least `error` with an
    /// exception.
    Span& level(log_level level) noexcept {
        return write([&](detail::span_operations span) { span.level(level); });
    }
    /// Points at a span of another trace, such as the one that asked for this work.
    template <class... T>
    Span& link(const trace_id& trace, span_id to, const named_value<T>&... attributes) noexcept {
        return write([&](detail::span_operations span) { span.link(trace, to, attributes...); });
    }
    /// Without it, a span that ends normally is `ok`.
    Span& set_status(status code, std::string_view message = {}) noexcept {
        return write([&](detail::span_operations span) { span.set_status(code, message); });
    }
    /// Records the exception as an event and as the reason of an error status.
    Span& exception(std::string_view type, std::string_view message) noexcept {
        event("exception", arg("exception.type", type), arg("exception.message", message));
        return write(
            [&](detail::span_operations span) { span.fail(type, message); }); // unless a redactor has ended it
    }
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    Span& exception(const std::exception& thrown) noexcept {
        if constexpr (!Span::is_recorded) return self();
        return exception(detail::exception_type(thrown).view(), detail::what_of(thrown));
    }
    /// The exception that is being handled: call it in a `catch` block.
    Span& current_exception() noexcept {
        if constexpr (!Span::is_recorded) return self();
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

    /// Runs `function`, records an exception that leaves it, and lets it go on. Where it returns an awaitable of a
    /// coroutine type (`co_await span.run([&]() -> asio::awaitable<int> { … })`), a coroutine of that type is
    /// returned, which does the same when it is awaited; it may outlive the span, and then records nothing.
    template <class Function>
    decltype(auto) run(Function&& function) {
        using result = decltype(std::forward<Function>(function)());
        if constexpr (detail::awaitable<result>) detail::require_coroutine<Context, result>();
        if constexpr (!Span::is_recorded) {
            return std::forward<Function>(function)();
        } else if constexpr (detail::awaitable<result>) {
            return self().template run_coroutine<result>(std::decay_t<Function>(std::forward<Function>(function)));
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

private:
    Span& self() noexcept { return static_cast<Span&>(*this); }

    // A tracer that is off compiles the writer, for its checks, and does not run it.
    template <class Writer>
    Span& write([[maybe_unused]] const Writer& writer) noexcept {
        if constexpr (Span::is_recorded)
            if (self().span_) writer(self().writer());
        return self();
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
