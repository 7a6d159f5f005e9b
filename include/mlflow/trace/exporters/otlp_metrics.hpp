// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/detail/fixed_string.hpp>
#include <mlflow/trace/exporters/otlp_metrics_worker.hpp>
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/platform/per_process.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A key for `otlp_metrics`: the tag with this key.
template <fixed_string Key>
struct by_tag {
    /// The key of the tag.
    static constexpr std::string_view name = Key.view();
};

namespace detail {

template <class Key>
inline constexpr bool is_tag_key = false;
template <fixed_string Key>
inline constexpr bool is_tag_key<by_tag<Key>> = true;

template <class Key>
concept metric_key = metadata_key<Key> || is_tag_key<Key>;

// Appends the trace's value for the key. The attribute has the same name as the one that `otlp_exporter` writes for
// user and session.
template <metric_key Key>
bool append_metric_key(buffer& out, const trace_data& trace) {
    const auto kind = is_tag_key<Key> ? entry_kind::tag : entry_kind::metadata;
    const std::string_view value = trace.entries.find(kind, Key::name);
    constexpr std::string_view name = std::is_same_v<Key, user>      ? mlflow_names::user_id
                                      : std::is_same_v<Key, session> ? mlflow_names::session_id
                                                                     : Key::name;
    return !value.data() || append_text_attribute(out, otlp::attributes, name, value);
}

} // namespace detail

/// Aggregates traces into the metrics of OpenTelemetry's conventions for generative AI, and sends them to a receiver
/// of OTLP/HTTP in protobuf, such as a Collector, once per interval:
///
///     using segment = mt::key<"app.segment">;
///     using metrics = mt::otlp_metrics<mt::beast_transport, segment, mt::by_tag<"stage">>;
///     using exporter = mt::fan_out<mt::batch<mt::mlflow_exporter<mt::beast_transport>>, metrics>;
///
/// All metrics are histograms, with the boundaries that the conventions recommend:
///
/// | metric                                        | of                                     | attributes          |
/// |-----------------------------------------------|----------------------------------------|---------------------|
/// | `gen_ai.client.operation.duration`            | chat models, LLMs, embeddings and      | operation, provider,|
/// |                                               | retrievers                             | model, `error.type` |
/// | `gen_ai.client.operation.time_to_first_chunk` | those of them that record a `chunk`    | the same, no error  |
/// | `gen_ai.client.token.usage`                   | every span with a `usage`, input and   | the same, no error, |
/// |                                               | output separately                      | `gen_ai.token.type` |
/// | `gen_ai.invoke_agent.duration`                | agents                                 | name, model, error  |
/// | `gen_ai.execute_tool.duration`                | tools                                  | name, error         |
/// | `gen_ai.workflow.duration`                    | workflows; the root span of a whole    | name, error         |
/// |                                               | trace that is none of these            |                     |
///
/// Each value also has those of the `Keys` that its trace has: metadata under its key, `mt::user` as `user.id`,
/// `mt::session` as `session.id`, and tags (`by_tag<"…">`). Every combination of values becomes a time series at the
/// receiver: use `user` and `session` only if there are few. A metric with more than `most_attribute_sets`
/// combinations counts the values of further ones in the set `otel.metric.overflow=true`. A span that ends after its
/// root span has only user and session. `error.type` is the attribute of this name, or the type of the last
/// exception, or `_OTHER`.
///
/// Values that were not delivered are added to the next request. Until then their spans count as queued, and
/// `last_error` has the reason. Spans count as failed only if the receiver rejects delta values in an otherwise
/// successful response. If a request is accepted but its response is lost, delta values are counted twice; cumulative
/// values, which start again with the process, are not. The resource has a `service.instance.id`, so that several
/// processes do not overwrite each other's values; it is generated unless the options set it. After `fork`, the child
/// has its own values, thread and instance ID.
///
/// The thread that exports traces aggregates them (about 2 µs per span) and does not wait for the receiver. Inside
/// `batch` that is a background thread. The destructor waits for a final delivery for at most `shutdown_timeout`; it
/// does not wait again after `shutdown`. If a request does not return within another 250 ms, its thread keeps
/// running.
///
/// Thread-safety: all functions may be called from any thread.
///
/// Not included by <mlflow/trace.hpp>. `from_environment` in <mlflow/trace/environment/otlp.hpp> sets the options
/// from OpenTelemetry's environment variables.
template <class Transport, class... Keys>
class otlp_metrics {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response> send(const "
                  "mlflow::trace::http_request&)");
    static_assert(detail::is_made_as_transport<Transport>());
    static_assert((detail::metric_key<Keys> && ...),
                  "otlp_metrics: the keys must be metadata keys such as mt::session and mt::key<\"app.segment\">, or "
                  "mt::by_tag<\"stage\">");
    static_assert(
        std::is_copy_constructible_v<typename Transport::options>,
        "otlp_metrics: a forked child creates its own transport, so the transport's options must be copyable");

    using clock = std::chrono::steady_clock;
    using worker = detail::otlp_metrics_worker<Transport>;
    using worker_pointer = typename detail::per_process<worker>::pointer;

public:
    /// See `thread_safe_exporter` in concepts.hpp.
    static constexpr bool is_thread_safe = true;

    /// See `otlp_metrics_options`.
    using options = otlp_metrics_options<Transport>;

    /// Starts the background thread.
    otlp_metrics() : otlp_metrics(options{}) {}
    /// Starts the background thread.
    explicit otlp_metrics(options chosen)
        : options_(std::move(chosen)), worker_(worker_pointer(new worker(options_, append_keys, {}))) {}
    otlp_metrics(const otlp_metrics&) = delete;
    otlp_metrics& operator=(const otlp_metrics&) = delete;

    /// Adds the spans to the metrics. Does not throw and does not wait for the receiver.
    export_result export_traces(trace_batch& traces) noexcept {
        worker* const found = detail::guarded([this] { return &here(); }, []() -> worker* { return nullptr; });
        if (found) found->accept(traces);
        else worker_.drop(traces.span_count());
        return {};
    }

    /// Sends the metrics of everything exported before the call, retrying until they are accepted. Returns false if
    /// `deadline` passes first.
    bool flush(clock::time_point deadline) { return !worker_.own() || worker_.own()->flush(deadline); }
    /// A final flush, after which spans are dropped. Returns false at the deadline or after the first failed attempt.
    bool shutdown(clock::time_point deadline) { return !worker_.own() || worker_.own()->shutdown(deadline); }

    /// The counts of spans, without `started` and `open`, which the tracer counts.
    [[nodiscard]] span_account account() { return worker_.account(); }
    /// Why the latest failed request failed; empty if none has failed.
    [[nodiscard]] error last_error() const { return worker_.last_error(); }

private:
    static bool append_keys([[maybe_unused]] detail::buffer& out, [[maybe_unused]] const trace_data& trace) {
        return (detail::append_metric_key<Keys>(out, trace) && ...);
    }
    worker& here() {
        return worker_.own_or([this](const span_account& counted) {
            return worker_pointer(new worker(options_, append_keys, counted));
        });
    }

    options options_;
    detail::per_process<worker> worker_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
