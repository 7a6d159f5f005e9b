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
        "run and traced: this function returns before its coroutine has run, which this context policy does not "
        "support; use mt::coroutine_context (see mlflow/trace/context/asio.hpp) or mt::explicit_context");
    static_assert(coroutine<Result>, "run and traced: this function returns an awaitable that is not a coroutine "
                                     "type; wrap it in a coroutine that awaits it");
}

// What writes into a span of this type.
template <class Span>
struct span_writer_of {
    using type = span_operations;
};
template <class Span>
using writer_of = typename span_writer_of<Span>::type;

} // namespace detail

/// The functions that record on a span. They are the same for a tracer that records (`basic_span`) and for one that
/// is off at compile time (`unrecorded_span`), so that the same calls compile with the same checks.
///
/// These functions do not throw or block. A rejected value is omitted and reported to the tracer's error handler. On
/// a span that is not recorded or has ended they do nothing. Thread-safety: one thread at a time.
template <class Span, class Context>
class span_interface {
public:
    /// Sets an attribute. Text, bool, integers and floating point have OTLP's types; other values are JSON. Here and
    /// below, a value may be a callable that returns the value; it is called only if the span is recorded.
    template <class T>
    Span& attribute(std::string_view key, const T& value) noexcept {
        return write([&](detail::writer_of<Span> span) { span.attribute(key, value); });
    }
    /// Sets an attribute whose key is known at compile time, which is faster:
    /// `span.attribute<"llm.temperature">(0.7)`. A key that is empty, reserved or not ASCII does not compile.
    template <fixed_string Key, class T>
    Span& attribute(const T& value) noexcept {
        static_assert(!Key.view().empty(), "the key of an attribute is empty");
        static_assert(detail::is_ascii_key(Key.view()),
                      "the key of an attribute at compile time must be ASCII; pass other "
                      "keys as an argument: attribute(key, value)");
        static_assert(Key.view().empty() || !detail::is_reserved_attribute(Key.view()),
                      "the library writes this attribute itself: use inputs(), outputs(), type() and so on");
        return write([&](detail::writer_of<Span> span) { span.template attribute<Key>(value); });
    }
    /// Sets the inputs by name: `span.inputs(mt::arg("question", q), mt::arg("k", 5))`.
    template <class First, class... T>
    Span& inputs(const named_value<First>& first, const named_value<T>&... rest) noexcept {
        return write([&](detail::writer_of<Span> span) {
            span.json_object_attribute(detail::mlflow_names::span_inputs, first, rest...);
        });
    }
    /// Sets the input as a single value.
    template <class T>
    Span& inputs(const T& value) noexcept {
        return write(
            [&](detail::writer_of<Span> span) { span.json_attribute(detail::mlflow_names::span_inputs, value); });
    }
    /// Sets the outputs by name.
    template <class First, class... T>
    Span& outputs(const named_value<First>& first, const named_value<T>&... rest) noexcept {
        return write([&](detail::writer_of<Span> span) {
            span.json_object_attribute(detail::mlflow_names::span_outputs, first, rest...);
        });
    }
    /// Sets the output as a single value.
    template <class T>
    Span& outputs(const T& value) noexcept {
        return write(
            [&](detail::writer_of<Span> span) { span.json_attribute(detail::mlflow_names::span_outputs, value); });
    }
    /// Records an event at the present time.
    template <class... T>
    Span& event(std::string_view name, const named_value<T>&... attributes) noexcept {
        return write([&](detail::writer_of<Span> span) { span.event(self().now(), name, attributes...); });
    }
    /// Records one piece of a streamed answer: MLflow's event `mlflow.chunk.item.0`, `.1` and so on.
    template <class T>
    Span& chunk(const T& value) noexcept {
        return write([&](detail::writer_of<Span> span) { span.chunk(self().now(), value); });
    }

    /// Sets the type of the span.
    Span& type(span_type type) noexcept {
        return write([&](detail::writer_of<Span> span) { span.type(type); });
    }
    /// Sets the name of the model.
    Span& model(std::string_view name) noexcept {
        return write([&](detail::writer_of<Span> span) { span.own_attribute(detail::mlflow_names::model, name); });
    }
    /// Sets the provider of the model.
    Span& provider(std::string_view name) noexcept {
        return write([&](detail::writer_of<Span> span) { span.own_attribute(detail::mlflow_names::provider, name); });
    }
    /// Sets the tokens that were used. MLflow sums them over the spans of the trace. Counts above 2^63 - 1 are
    /// rejected, because MLflow could not read the trace.
    Span& usage(token_usage used) noexcept {
        return write([&](detail::writer_of<Span> span) { span.usage(used); });
    }
    /// Sets the cost. MLflow sums it over the spans of the trace. Values that are not finite are rejected, because
    /// MLflow would reject the whole request.
    Span& cost(llm_cost spent) noexcept {
        return write([&](detail::writer_of<Span> span) { span.cost(spent); });
    }
    /// Sets the log level. Without it, the span has the level of its type (`default_log_level`), and at least `error`
    /// after an exception.
    Span& level(log_level level) noexcept {
        return write([&](detail::writer_of<Span> span) { span.level(level); });
    }
    /// Links to a span of another trace, such as the one that requested this work.
    template <class... T>
    Span& link(const trace_id& trace, span_id to, const named_value<T>&... attributes) noexcept {
        return write([&](detail::writer_of<Span> span) { span.link(trace, to, attributes...); });
    }
    /// Sets the status. Without it, a span that ends normally is `ok`.
    Span& set_status(status code, std::string_view message = {}) noexcept {
        return write([&](detail::writer_of<Span> span) { span.set_status(code, message); });
    }
    /// Records an exception as an event and as the reason of an error status.
    Span& exception(std::string_view type, std::string_view message) noexcept {
        event("exception", arg("exception.type", type), arg("exception.message", message));
        return write(
            [&](detail::writer_of<Span> span) { span.fail(type, message); }); // skipped if a redactor ended the span
    }
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    /// The same with the type and text of `thrown`.
    Span& exception(const std::exception& thrown) noexcept {
        if constexpr (!Span::is_recorded) return self();
        return exception(detail::exception_type(thrown).view(), detail::what_of(thrown));
    }
    /// Records the exception that is being handled. Call it in a `catch` block.
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

    /// Calls `function`. An exception that leaves it is recorded and rethrown. If the function returns an awaitable
    /// of a coroutine type (`co_await span.run([&]() -> asio::awaitable<int> { … })`), `run` returns a coroutine of
    /// that type, which does the same when it is awaited. The coroutine may outlive the span, and then records
    /// nothing.
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

    // A tracer that is off compiles the writer, which checks it, and does not run it.
    template <class Writer>
    Span& write([[maybe_unused]] const Writer& writer) noexcept {
        if constexpr (Span::is_recorded)
            if (self().recording()) writer(self().writer());
        return self();
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
