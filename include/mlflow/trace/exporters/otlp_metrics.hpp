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

/// Among the keys of `otlp_metrics`: the tag of that key.
template <fixed_string Key>
struct by_tag {
    static constexpr std::string_view name = Key.view();
};

namespace detail {

template <class Key>
inline constexpr bool is_tag_key = false;
template <fixed_string Key>
inline constexpr bool is_tag_key<by_tag<Key>> = true;

template <class Key>
concept metric_key = metadata_key<Key> || is_tag_key<Key>;

// What the trace says of the key, as the attribute that `otlp_exporter` makes of it too where it has a name of its
// own.
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

/// Sums traces up into the metrics of OpenTelemetry's conventions for generative AI, and sends these to any receiver
/// of OTLP/HTTP in protobuf, such as a Collector, in a request for each interval:
///
///     using segment = mt::key<"app.segment">;
///     using metrics = mt::otlp_metrics<mt::beast_transport, segment, mt::by_tag<"stage">>;
///     using exporter = mt::fan_out<mt::batch<mt::mlflow_exporter<mt::beast_transport>>, metrics>;
///
/// All are histograms, with the boundaries that the conventions advise:
///
/// | metric                                        | of                                     | attributes          |
/// |-----------------------------------------------|----------------------------------------|---------------------|
/// | `gen_ai.client.operation.duration`            | chat models, LLMs, embeddings and      | operation, provider,|
/// |                                               | retrievers                             | model, `error.type` |
/// | `gen_ai.client.operation.time_to_first_chunk` | those of them that record a `chunk`    | the same, no error  |
/// | `gen_ai.client.token.usage`                   | every span with a `usage`, input and   | the same, no error, |
/// |                                               | output apart                           | `gen_ai.token.type` |
/// | `gen_ai.invoke_agent.duration`                | agents                                 | name, model, error  |
/// | `gen_ai.execute_tool.duration`                | tools                                  | name, error         |
/// | `gen_ai.workflow.duration`                    | workflows; the root of a whole trace   | name, error         |
/// |                                               | that is none of these                  |                     |
///
/// Each value also has the `Keys` that its trace has: metadata keys under their names, `mt::user` as `user.id`,
/// `mt::session` as `session.id`, and `by_tag<"…">`. Every combination of values is a time series at the receiver:
/// list `user` and `session` only where there are few. Beyond `most_attribute_sets` of a metric its values come
/// together in the set `otel.metric.overflow=true`. A span that ends after its root has user and session alone.
/// `error.type` is what the span says under this name, the type of its last exception, or `_OTHER`.
///
/// What does not arrive stays in the sums and goes with the next request; until then its spans count as queued, and
/// `last_error` says why. Only deltas that the receiver has taken and says that it rejects count as failed. A request
/// that has arrived and whose answer is lost is counted twice with deltas, and not with cumulative values, which
/// start anew with the process. So that several processes do not disturb each other, the resource has a
/// `service.instance.id`: a new one where the options name none. The child of a fork starts with sums, a thread and
/// an instance of its own.
///
/// The thread that hands traces over sums them up, about two microseconds for each span, and waits for no receiver;
/// a `batch` around it takes this from the recording threads too. The destructor waits for a last delivery for at
/// most `shutdown_timeout`, and not again after `shutdown`; a request that does not come back within 250 ms more is
/// left to itself with its thread. Thread-safety: all functions, from any thread. Not part of <mlflow/trace.hpp>.
/// `from_environment` of <mlflow/trace/environment/otlp.hpp> fills the options in from OpenTelemetry's variables.
template <class Transport, class... Keys>
class otlp_metrics {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response> send(const "
                  "mlflow::trace::http_request&)");
    static_assert(detail::is_made_as_transport<Transport>());
    static_assert((detail::metric_key<Keys> && ...),
                  "otlp_metrics: name keys such as mt::session, mt::key<\"app.segment\"> or mt::by_tag<\"stage\">");
    static_assert(
        std::is_copy_constructible_v<typename Transport::options>,
        "otlp_metrics: the child of a fork has a transport of its own, so that the transport's options must "
        "be copyable");

    using clock = std::chrono::steady_clock;
    using worker = detail::otlp_metrics_worker<Transport>;
    using worker_pointer = typename detail::per_process<worker>::pointer;

public:
    static constexpr bool is_thread_safe = true;

    using options = otlp_metrics_options<Transport>;

    otlp_metrics() : otlp_metrics(options{}) {}
    explicit otlp_metrics(options chosen)
        : options_(std::move(chosen)), worker_(worker_pointer(new worker(options_, append_keys, {}))) {}
    otlp_metrics(const otlp_metrics&) = delete;
    otlp_metrics& operator=(const otlp_metrics&) = delete;

    export_result export_traces(trace_batch& traces) noexcept {
        worker* const found = detail::guarded([this] { return &here(); }, []() -> worker* { return nullptr; });
        if (found) found->accept(traces);
        else worker_.drop(traces.span_count());
        return {};
    }

    /// Sends what came before, and again where that fails, until it has arrived; false at the deadline.
    bool flush(clock::time_point deadline) { return !worker_.own() || worker_.own()->flush(deadline); }
    /// A last flush; what comes later is dropped.
    bool shutdown(clock::time_point deadline) { return !worker_.own() || worker_.own()->shutdown(deadline); }

    [[nodiscard]] span_account account() { return worker_.account(); }
    /// Why a request last failed; empty when none ever did.
    [[nodiscard]] std::string last_error() const { return worker_.last_error(); }

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
