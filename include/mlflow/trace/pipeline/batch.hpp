// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/pipeline/batch_worker.hpp>
#include <mlflow/trace/platform/per_process.hpp>

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Queues traces and exports them in batches on a background thread, so that recording does not wait for the
/// receiver. Wraps another exporter: `batch<retry<mlflow_exporter<beast_transport>>>`.
///
/// The queue is bounded. `batch_options::when_full` decides what happens to a trace that does not fit. Dropped traces
/// are counted in `account()`, described by `last_error()`, and logged (`batch_options::diagnostics`).
///
/// `Senders` is the number of threads that export at the same time; each has its own inner exporter. One more thread
/// copies small traces into smaller blocks while more than an eighth of `max_queue_bytes` is queued as recorded; it
/// sleeps otherwise.
///
/// Errors: `export_traces` does not throw. Failures of the inner exporter are counted and logged.
///
/// Thread-safety: all functions may be called from any thread. An inner exporter is called only by its background
/// thread; if it is itself a `deferring_exporter`, threads that call `flush`, `shutdown` or `account` call it too.
///
/// The destructor waits for delivery for at most `shutdown_timeout`; it does not wait again after `shutdown`. If an
/// inner exporter does not return within another 250 ms, its thread keeps running and destroys it once it returns:
/// whatever the exporter refers to must live that long.
///
/// After `fork`, the child creates its own queue, threads and inner exporters when it records its first trace; traces
/// that were queued before the fork are delivered by the parent. If the options of the inner exporter cannot be
/// copied, the child drops and counts what it records.
template <class Exporter, std::size_t Senders>
class batch {
    static_assert(detail::has_whole_concepts<Exporter>());
    static_assert(
        exporter<Exporter>,
        "batch: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    static_assert(Senders > 0, "batch: Senders must be at least 1");
    static_assert(
        Senders == 1 || std::is_copy_constructible_v<detail::options_of<Exporter>>,
        "batch: each sender has its own inner exporter, so the options of the inner exporter must be copyable");

    using clock = std::chrono::steady_clock;
    using worker = detail::batch_worker<Exporter, Senders>;
    using worker_pointer = typename detail::per_process<worker>::pointer;

public:
    static constexpr bool is_thread_safe = true;                        ///< see `thread_safe_exporter`
    static constexpr bool composes = mlflow::trace::composes<Exporter>; ///< see `composes` in concepts.hpp
    static constexpr bool retries = retrying_exporter<Exporter>;        ///< see `retrying_exporter`

    /// See `batch_options`.
    using options = batch_options<Exporter>;

    /// Starts the background threads.
    batch() : batch(options{}) {}
    /// Starts the background threads.
    explicit batch(options chosen) : options_(std::move(chosen)), worker_(make_worker({})) {}
    batch(const batch&) = delete;
    batch& operator=(const batch&) = delete;

    /// Queues the traces, or drops and counts them if the queue has no room. Waits only with `when_full::wait`.
    export_result export_traces(trace_batch& traces) noexcept {
        worker* const found = detail::guarded([this] { return here(); }, []() -> worker* { return nullptr; });
        if (found) found->accept(traces);
        else worker_.drop(traces.span_count());
        return {};
    }

    /// Waits until everything queued before the call has been exported or dropped, and flushes the inner exporter if
    /// it defers. Returns false if `deadline` passes first, and at once on a background thread of this `batch`.
    bool flush(clock::time_point deadline) { return !worker_.own() || worker_.own()->flush(deadline); }
    /// A final flush, after which traces are dropped. Returns what `flush` returns.
    bool shutdown(clock::time_point deadline) { return !worker_.own() || worker_.own()->shutdown(deadline); }

    /// The counts of spans, without `started` and `open`, which the tracer counts.
    [[nodiscard]] span_account account() { return worker_.account(); }
    /// The state of the queue.
    [[nodiscard]] batch_status status() { return worker_.own() ? worker_.own()->status() : batch_status{}; }
    /// What is still queued and why, if a flush reached its deadline; otherwise the `last_error` of the inner
    /// exporter; otherwise the error of the latest failure, or `error_kind::dropped`. No error if nothing is wrong
    /// and no span was lost.
    [[nodiscard]] error last_error() const { return worker_.last_error(); }

    /// The page of the trace, if the inner exporter is a `linking_exporter`; empty otherwise.
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>)
            return worker_.own() ? worker_.own()->exporter().trace_url(id) : std::string();
        else return {};
    }

    /// The inner exporter of the sender with this number. The background thread uses it at the same time.
    [[nodiscard]] Exporter& exporter(std::size_t number = 0) {
        worker* const found = here();
        return (found ? *found : worker_.any()).exporter(number);
    }

private:
    // Null in the child of a fork if the options cannot be copied.
    worker* here() {
        if constexpr (!std::is_copy_constructible_v<options>) return worker_.own();
        else return &worker_.own_or([this](const span_account& counted) { return make_worker(counted); });
    }
    worker_pointer make_worker(const span_account& counted) {
        if constexpr (std::is_copy_constructible_v<options>)
            return worker_pointer(new worker(options(options_), counted));
        else return worker_pointer(new worker(std::move(options_), counted));
    }

    options options_;
    detail::per_process<worker> worker_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
