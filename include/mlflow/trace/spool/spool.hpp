// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/platform/per_process.hpp>
#include <mlflow/trace/spool/worker.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Writes traces to files and forwards them to the wrapped exporter from there, so that a recorded trace survives a
/// crash of the process and an outage that lasts days. Delivery is at least once; MLflow stores a trace once even if
/// it arrives twice.
///
/// Use it as the outermost exporter: `spool<mlflow_exporter<…>>`. The recording thread then writes each trace to the
/// file, in some microseconds. In `batch<spool<…>>` it does not write, but traces in the queue of `batch` are lost in
/// a crash. A spool retries by itself, so that it needs no `retry` inside. What the inner exporter adds by its own
/// options, such as the resource, comes from the process that delivers.
///
/// Several processes may share a directory on a local disk. Each writes its own files. Files of an ended process are
/// delivered by the others, or at the next start. Spans that the receiver rejects while it accepts others are
/// quarantined in a file `*.rejected`. If it rejects everything, everything is kept and retried. Damage to one record
/// does not affect others.
///
/// The directory holds recorded content, but no credentials. It is created with mode 0700. A directory that other
/// users may write to or replace is rejected. Files in it that belong to other users, links and FIFOs are ignored.
///
/// Errors: a trace that cannot be written (disk full) is dropped and counted; the next one is tried again.
///
/// Thread-safety: all functions may be called from any thread. The inner exporter is called only by the background
/// thread.
///
/// After `fork`, the child creates its own files, thread and inner exporter when it records its first trace. The
/// parent's files stay locked while the child runs.
///
/// The destructor waits for delivery for at most `shutdown_timeout`, and stops waiting at the first failed attempt,
/// since the traces are on disk. If the inner exporter does not return within another 250 ms, its thread keeps
/// running and destroys it once it returns: whatever the exporter refers to must live that long.
template <class Exporter, class Files>
class spool {
    static_assert(detail::has_whole_concepts<Exporter>());
    static_assert(
        exporter<Exporter>,
        "spool: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    using clock = std::chrono::steady_clock;
    using worker = detail::spool_worker<Exporter, Files>;
    using worker_pointer = typename detail::per_process<worker>::pointer;

public:
    static constexpr bool is_thread_safe = true; ///< see `thread_safe_exporter`
    /// See `composes` in concepts.hpp.
    static constexpr bool composes =
        mlflow::trace::composes<Exporter> && !deferring_exporter<Exporter> && !retrying_exporter<Exporter>;
    static constexpr bool retries = true; ///< see `retrying_exporter`

    /// See `spool_options`.
    using options = spool_options<Exporter>;

    /// Starts the background thread. Does not compile if the inner exporter defers or retries itself.
    spool() : spool(options{}) {}
    /// Starts the background thread. Does not compile if the inner exporter defers or retries itself.
    explicit spool(options chosen) : options_(std::move(chosen)), worker_(worker_pointer(new worker(options_))) {
        static_assert(!deferring_exporter<Exporter>,
                      "spool: must be inside the deferring exporter: batch<spool<...>>");
        static_assert(deferring_exporter<Exporter> || !retrying_exporter<Exporter>,
                      "spool: retries by itself and keeps rejected spans; remove retry");
    }
    spool(const spool&) = delete;
    spool& operator=(const spool&) = delete;

    /// Writes the traces. `exported_spans` are stored in the directory; `failed_spans` could not be written.
    export_result export_traces(trace_batch& traces) noexcept {
        return detail::guarded([&] { return here().write(traces); },
                               [&] {
                                   worker_.drop(traces.span_count());
                                   return detail::failed_export(traces.span_count(), worker_.why_dropped);
                               });
    }

    /// Waits until everything this process recorded before the call has been delivered, quarantined or dropped.
    /// Returns false if `deadline` passes first.
    bool flush(clock::time_point deadline) { return !worker_.own() || worker_.own()->flush(deadline); }
    /// A final flush, after which traces are dropped. Returns false at the deadline or after the first failed
    /// attempt; what is left stays in the directory for the next start.
    bool shutdown(clock::time_point deadline) { return !worker_.own() || worker_.own()->shutdown(deadline); }
    /// Waits until all files of ended processes have been delivered. Returns false at the deadline, after the first
    /// failed attempt, or if the directory cannot be read.
    bool recover(clock::time_point deadline) { return here().recover(deadline); }

    /// The counts of spans that this process recorded, without `started` and `open`, which the tracer counts.
    [[nodiscard]] span_account account() { return worker_.account(); }
    /// Counters of files and recovered spans.
    [[nodiscard]] spool_status status() { return worker_.own() ? worker_.own()->status() : spool_status{}; }
    /// Why traces are waiting, or what is wrong with the directory; otherwise why spans were last quarantined or not
    /// written. No error otherwise: that of an outage is cleared when it ends.
    [[nodiscard]] error last_error() const { return worker_.last_error(); }

    /// The page of the trace, if the inner exporter is a `linking_exporter`; empty otherwise.
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>)
            return worker_.own() ? worker_.own()->exporter().trace_url(id) : std::string();
        else return {};
    }

    /// The inner exporter. The background thread uses it at the same time.
    [[nodiscard]] Exporter& exporter() { return here().exporter(); }

private:
    worker& here() {
        return worker_.own_or(
            [this](const span_account& counted) { return worker_pointer(new worker(options_, counted)); });
    }

    options options_;
    detail::per_process<worker> worker_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
