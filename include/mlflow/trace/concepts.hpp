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

/// Every extension point of the library. A type that models one of these concepts is a full member: nothing is
/// registered, and nothing is inherited.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

struct context_slot;

/// What becomes of finished traces. `export_traces` reads the batch, or moves traces out of it to keep them, and says
/// how it went; it may block. It is called by one thread at a time, unless the type has
/// `static constexpr bool is_thread_safe = true`. What it throws is caught and counts as failed. `decode(trace)`
/// (wire/recorded_trace.hpp) makes readable texts of a trace of the batch.
///
/// It is made from its nested `struct options`, which has a default, or without arguments. The concepts below are
/// what else an exporter may have; `exporter_adaptor` passes all of it on. Try an exporter with
/// testing/exporter_conformance.hpp, and one around another with testing/decorator_conformance.hpp. Example:
/// examples/own_exporter.
template <class T>
concept exporter = requires(T& exporter, trace_batch& batch) {
    { exporter.export_traces(batch) } -> std::same_as<export_result>;
};

/// An exporter that keeps traces for later: `flush` returns when all that came before it has been handed on, or at
/// the deadline; false then. `shutdown` is a last flush, after which it takes nothing more.
template <class T>
concept deferring_exporter = exporter<T> && requires(T& exporter, std::chrono::steady_clock::time_point deadline) {
    { exporter.flush(deadline) } -> std::same_as<bool>;
    { exporter.shutdown(deadline) } -> std::same_as<bool>;
    { exporter.account() } -> std::same_as<span_account>;
};

/// An exporter that knows a page where the trace can be looked at.
template <class T>
concept linking_exporter = requires(const T& exporter, const trace_id& id) {
    { exporter.trace_url(id) } -> std::same_as<owned_text>;
};

/// An exporter whose waiting can be ended, from any thread: the export under way returns soon, and later ones do not
/// wait.
template <class T>
concept interruptible_exporter = requires(T& exporter) {
    { exporter.interrupt() } noexcept;
};

/// An exporter that tells, to any thread, why it last failed; empty when it never did.
template <class T>
concept reporting_exporter = requires(const T& exporter) {
    { exporter.last_error() } -> std::convertible_to<owned_text>;
};

/// An exporter whose exports take long, and that tells any thread how far it is.
template <class T>
concept progressing_exporter = requires(const T& exporter) {
    { exporter.progress() } -> std::same_as<export_progress>;
};

/// An exporter that several threads may call at once.
template <class T>
concept thread_safe_exporter = requires { requires T::is_thread_safe; };

/// An exporter that tries again by itself what the receiver did not take.
template <class T>
concept retrying_exporter = requires { requires T::retries; };

/// Whether an exporter is made of layers in an order that works, such as `batch<retry<…>>`. Another order does not
/// compile where the exporter is made, and the error names the right one.
template <class T>
inline constexpr bool composes = [] {
    if constexpr (requires { T::composes; }) return T::composes;
    else return exporter<T>;
}();

namespace detail {

// An optional member that is there, but not as its concept asks, would be passed over without a word.
template <class T>
constexpr bool has_whole_concepts() noexcept {
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
        "the exporter's last_error() must be const, and give a text");
    static_assert(
        !requires(T& exporter) { exporter.progress(); } || progressing_exporter<T>,
        "the exporter's progress() must be const, and give an export_progress");
    static_assert(
        !(
            requires { &T::trace_url; } || requires(T& exporter, const trace_id& id) { exporter.trace_url(id); }) ||
            linking_exporter<T>,
        "the exporter's trace_url must take a const mlflow::trace::trace_id&, be const, and give a std::string");
    return true;
}

// How the library makes one.
template <class T>
constexpr bool is_made_as_transport() noexcept {
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

/// What carries an HTTP request to a server and brings its reply. It is made as `T(endpoint, T::options)`. `send`
/// blocks until the reply, an error, or `http_request::timeout`, and does not throw; it is called by one thread at a
/// time. Requests of this library may be sent twice without harm.
///
/// `send` asks `check_request` (http/check.hpp) first, sends to `endpoint::path` followed by `request.target`, and
/// writes Host and Content-Length itself. It skips replies of 1xx, joins chunks, follows no redirect, and returns
/// every other status as a reply. Its errors are `error_kind::connect`, `timeout`, `closed`, `bad_reply` and `tls`.
/// Try a transport with testing/transport_conformance.hpp. Example: examples/own_transport.
template <class T>
concept transport = requires(T& transport, const http_request& request) {
    { transport.send(request) } -> std::same_as<result<http_response>>;
};

/// Where the current span lives. `slot()` is called by the recording thread; null means that nothing is current, and
/// a type that always says so has `static constexpr bool is_ambient = false`, so that scopes do not compile.
///
/// The slot is a `context_slot` (context/slot.hpp), which whoever owns it gives back by `release()`. One that belongs
/// to a task, a job or a fiber, and not to a thread, is made as `context_slot{.is_of_task = true}`. Otherwise traces
/// that take turns in it make the whole tracer record what starts without being told its trace as nobody's. Example:
/// examples/own_context.
///
/// A context policy may also have:
/// - `static bool holds(const void* object)`: can a span, scope or attached context at this address be current?
///   Without it, all can.
/// - `static constexpr bool is_per_task = true`: what is current stays with a coroutine that is resumed elsewhere, so
///   that `run` and `traced` take coroutines.
/// - `static context_slot* off_slot()`: where `tracer::untraced` takes effect, if not in `slot()`.
template <class T>
concept context = requires {
    { T::slot() } -> std::same_as<context_slot*>;
};

/// Which traces are recorded: asked once, when a trace starts, with what is known of it then. What starts inside a
/// trace follows it. Thread-safe. A type may also say what is recorded of the values, as `recording_policy` does: by
/// `redaction redact(std::string_view key, std::string_view value) const`, asked for each value, and by `const
/// recording_limits& limits() const`, asked when the tracer is made.
template <class T>
concept recording = requires(const T& recording, const trace_start& start) {
    { recording.sample(start) } -> std::same_as<bool>;
};

/// What may be recorded of a value, or what in its place. Thread-safe; what it throws takes the value out.
template <class T>
concept redactor = requires(const T& redactor, std::string_view key, std::string_view value) {
    { redactor(key, value) } -> std::same_as<redaction>;
};

/// What is under the library: clocks in nanoseconds, IDs, a lock, and what becomes of a refused value where the
/// application has no `on_error`. Thread-safe. `static void install()`, where there is one, is called as the first
/// tracer is made. `static constexpr bool has_random_trace_ids = true` says that at least the last 7 bytes of a trace
/// ID are random and evenly spread, which other processes are told (W3C Trace Context, level 2).
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
