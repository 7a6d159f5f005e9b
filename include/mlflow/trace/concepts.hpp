// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/export_progress.hpp>
#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/core/trace_start.hpp>
#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/http/message.hpp>

#include <concepts>
#include <cstdint>
#include <string_view>
#include <utility>

/// The extension points of the library. A type that models one of these concepts can be used directly; nothing is
/// registered or inherited.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

struct context_slot;

/// An exporter: it receives ended traces. `export_traces` reads the batch, or moves traces out of it to keep them,
/// and returns how many of its spans arrived and how many did not; both together are `batch.span_count()` as it was
/// when called. If only some arrived and the result is `retryable`, it moves those out of the batch (`pop_front`):
/// what is then in the batch is sent again. It may block. It is called by one thread at a time, unless the type has
/// `static constexpr bool is_thread_safe = true`. An exception is caught, and the spans count as failed.
///
/// A `trace_data` of the batch has `id`, `metadata(mt::user::name)`, `duration_nano` and `span_count`;
/// `decode(trace)` (wire/recorded_trace.hpp) returns all of it as text, and allocates.
///
/// An exporter is made from its nested `struct options`, which must be default-constructible, or without arguments.
/// The concepts below are optional; `exporter_adaptor` forwards all of them. Test an exporter with
/// testing/exporter_conformance.hpp, and one that wraps another with testing/decorator_conformance.hpp. Example:
/// examples/own_exporter.
template <class T>
concept exporter = requires(T& exporter, trace_batch& batch) {
    { exporter.export_traces(batch) } -> std::same_as<export_result>;
};

/// An exporter that delivers traces later. `flush` returns true once everything that came before it has been
/// delivered or given up, and false at the deadline. `shutdown` is a final flush, after which the exporter drops
/// traces. `account` returns the exporter's own counts.
template <class T>
concept deferring_exporter = exporter<T> && requires(T& exporter, std::chrono::steady_clock::time_point deadline) {
    { exporter.flush(deadline) } -> std::same_as<bool>;
    { exporter.shutdown(deadline) } -> std::same_as<bool>;
    { exporter.account() } -> std::same_as<span_account>;
};

/// An exporter that returns the URL of a page that shows the trace.
template <class T>
concept linking_exporter = requires(const T& exporter, const trace_id& id) {
    { exporter.trace_url(id) } -> std::same_as<owned_text>;
};

/// An exporter whose waiting can be interrupted, from any thread: the current export then returns soon, and later
/// exports do not wait.
template <class T>
concept interruptible_exporter = requires(T& exporter) {
    { exporter.interrupt() } noexcept;
};

/// An exporter that returns the error of its last failure, on any thread; no error if there was none.
template <class T>
concept reporting_exporter = requires(const T& exporter) {
    { exporter.last_error() } -> std::same_as<error>;
};

/// An exporter whose exports take long, and which reports its progress on any thread.
template <class T>
concept progressing_exporter = requires(const T& exporter) {
    { exporter.progress() } -> std::same_as<export_progress>;
};

/// An exporter that several threads may call at once.
template <class T>
concept thread_safe_exporter = requires { requires T::is_thread_safe; };

/// An exporter that itself retries what the receiver did not accept.
template <class T>
concept retrying_exporter = requires { requires T::retries; };

/// Whether the layers of an exporter are in an order that works, such as `batch<retry<…>>`. Another order does not
/// compile where the exporter is made, and the error names the right order.
template <class T>
inline constexpr bool composes = [] {
    if constexpr (requires { T::composes; }) return T::composes;
    else return exporter<T>;
}();

namespace detail {

// Rejects a type that is only declared.
template <class T>
constexpr bool is_defined() noexcept {
    static_assert(
        requires { sizeof(T); },
        "this type is declared but not defined here: include its header, such as "
        "<mlflow/trace/exporters/otlp.hpp>; <mlflow/trace.hpp> does not include all of them");
    return true;
}

// Rejects an optional member that does not match its concept, which would otherwise be silently ignored.
template <class T>
constexpr bool has_whole_concepts() noexcept {
    static_assert(is_defined<T>());
    constexpr bool defers_in_part =
        requires { &T::flush; } || requires { &T::shutdown; } || requires { &T::account; };
    static_assert(
        !defers_in_part || deferring_exporter<T>,
        "the exporter has flush, shutdown or account, but not all of deferring_exporter: bool flush(std::chrono::"
        "steady_clock::time_point), bool shutdown(...) and span_account account()");
    static_assert(
        !requires(T& exporter) { exporter.interrupt(); } || interruptible_exporter<T>,
        "the exporter's interrupt() must be noexcept");
    static_assert(
        !requires(T& exporter) { exporter.last_error(); } || reporting_exporter<T>,
        "the exporter's last_error() must be const and return an mlflow::trace::error");
    static_assert(
        !requires(T& exporter) { exporter.progress(); } || progressing_exporter<T>,
        "the exporter's progress() must be const and return an export_progress");
    static_assert(
        !(
            requires { &T::trace_url; } || requires(T& exporter, const trace_id& id) { exporter.trace_url(id); }) ||
            linking_exporter<T>,
        "the exporter's trace_url must take a const mlflow::trace::trace_id&, be const, and return a std::string");
    return true;
}

// Checks that the library can construct the transport.
template <class T>
constexpr bool is_made_as_transport() noexcept {
    static_assert(is_defined<T>());
    static_assert(
        requires { typename T::options; },
        "the transport lacks its options: write `struct options {};` inside it, and a constructor "
        "T(mlflow::trace::endpoint, options)");
    if constexpr (requires { typename T::options; })
        static_assert(
            requires(endpoint server, typename T::options options) { T(std::move(server), std::move(options)); },
            "the transport lacks a constructor T(mlflow::trace::endpoint, options)");
    return true;
}

template <class T>
constexpr bool has_whole_context() noexcept {
    static_assert(
        !requires { &T::holds; } ||
            requires(const void* object) {
                { T::holds(object) } -> std::same_as<bool>;
            },
        "the context policy's holds must be static bool holds(const void*)");
    static_assert(
        !requires { &T::is_per_task; } ||
            requires {
                { T::is_per_task } -> std::same_as<const bool&>;
            },
        "the context policy's is_per_task must be static constexpr bool");
    return true;
}

} // namespace detail

/// A transport: it sends an HTTP request to a server and returns the response. It is made as
/// `T(endpoint, T::options)`. `send` blocks until the response, an error, or `http_request::timeout`, and does not
/// throw. It is called by one thread at a time. The requests of this library may be sent twice without harm.
///
/// `send` must call `check_request` (http/check.hpp) first. It sends to `endpoint::path` followed by
/// `request.target`, and writes Host and Content-Length itself. It skips 1xx responses, joins chunks, does not follow
/// redirects, and returns a response of any other status. Its errors are `error_kind::connect`, `timeout`, `closed`,
/// `bad_reply`, `tls`, `out_of_memory`, and what `check_request` returns. Test a transport with
/// testing/transport_conformance.hpp. Example: examples/own_transport.
template <class T>
concept transport = requires(T& transport, const http_request& request) {
    { transport.send(request) } -> std::same_as<result<http_response>>;
};

/// A context policy: where the current span is stored. `slot()` is called by the recording thread. Null means that
/// nothing is current; a type that always returns null has `static constexpr bool is_ambient = false`, so that scopes
/// do not compile.
///
/// The result is a `context_slot` (context/slot.hpp). Its owner calls `release()` before destroying it. A slot that
/// belongs to a task, a job or a fiber rather than to a thread must be made as `context_slot{.is_of_task = true}`.
/// Otherwise, if traces are interleaved in it, the tracer stops trusting every slot: it records spans that start
/// without an explicit parent as traces without a user. Test a context with testing/context_conformance.hpp. Example:
/// examples/own_context.
///
/// A context policy may also have:
/// - `static bool holds(const void* object)`: whether a span, scope or attached context at this address can be
///   current. Without it, every object can.
/// - `static constexpr bool is_per_task = true`: what is current stays with a coroutine that is resumed on another
///   thread, so that `run` and `traced` accept coroutines.
/// - `static context_slot* off_slot()`: the slot in which `tracer::untraced` takes effect, if it is not `slot()`.
template <class T>
concept context = requires {
    { T::slot() } -> std::same_as<context_slot*>;
};

/// A recording policy: which traces are recorded. `sample` is called once when a trace starts, with what is known
/// then; spans inside the trace follow the decision. Thread-safe. As `recording_policy` does, a type may also decide
/// how values are recorded: by `redaction redact(std::string_view key, std::string_view value) const`, called for
/// each value, and by `const recording_limits& limits() const`, called when the tracer is made.
template <class T>
concept recording = requires(const T& recording, const trace_start& start) {
    { recording.sample(start) } -> std::same_as<bool>;
};

/// A redactor: it decides whether a value is recorded, or what is recorded in its place. Thread-safe. If it throws,
/// the value is removed.
template <class T>
concept redactor = requires(const T& redactor, std::string_view key, std::string_view value) {
    { redactor(key, value) } -> std::same_as<redaction>;
};

/// A platform: clocks in nanoseconds, IDs, a lock, and `report`, which is called for rejected values if the
/// application has no `on_error`. Thread-safe. `static void install()` is optional and called when the first tracer
/// is made. `static constexpr bool has_random_trace_ids = true` states that at least the last 7 bytes of a trace ID
/// are random and uniformly distributed; the header `traceparent` passes this on to other processes (W3C Trace
/// Context, level 2).
template <class T>
concept platform = requires(const error& error, typename T::mutex& mutex) {
    { T::wall_nano() } -> std::same_as<std::uint64_t>;
    { T::monotonic_nano() } -> std::same_as<std::uint64_t>;
    { T::new_trace_id() } -> std::same_as<trace_id>;
    { T::new_span_id() } -> std::same_as<span_id>;
    { T::report(error) } noexcept;
    mutex.lock();
    mutex.unlock();
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
