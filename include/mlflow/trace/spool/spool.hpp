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

/// Writes traces to files before it hands them to another exporter, so that a trace is safe as soon as it is
/// recorded: the process may crash, the receiver be away for days. Delivered at least once; MLflow takes a second
/// time without harm.
///
/// Put it outermost (`spool<mlflow_exporter<…>>`): recording then writes, in some microseconds, and a trace that has
/// ended is safe. In `batch<spool<…>>` recording does not even write, and what waits in the queue is not safe yet. It
/// tries again by itself, so that it needs no `retry` inside. What the inner exporter adds by its own options, such
/// as the resource, is that of the process which delivers.
///
/// Several processes may share a folder on a local disk. Each writes to files of its own; those of a process that is
/// gone are delivered by the others, or by the next start. What the receiver refuses, while it takes others, is put
/// aside in a file `*.rejected`; when it refuses everything, everything is kept and tried again. A damaged record
/// costs only itself. The folder holds what users said, but no credentials; it is made for this user alone. One that
/// others may write to, or may put another in the place of (a folder above it is theirs, or open to all), is refused;
/// files in it that are not this user's, links and FIFOs are left alone.
///
/// Errors: a trace that cannot be written (disk full) is dropped and counted, and the next one is tried again.
/// Thread-safety: all functions, from any thread; the inner exporter is called from the one background thread only.
/// The child of a fork has files, a thread and an inner exporter of its own from its first trace on; as long as it
/// lives, its parent's files are not taken for left behind. The destructor waits for delivery for at most
/// `shutdown_timeout`, and no longer than until an attempt fails, since the rest is on the disk. An inner exporter
/// that does not come back within 250 ms more is left to itself with its thread, and destroyed when it does: what it
/// was given by reference must live as long.
template <class Exporter, class Files>
class spool {
    static_assert(
        exporter<Exporter>,
        "spool: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    static_assert(detail::has_whole_concepts<Exporter>());
    using clock = std::chrono::steady_clock;
    using worker = detail::spool_worker<Exporter, Files>;
    using worker_pointer = typename detail::per_process<worker>::pointer;

public:
    static constexpr bool is_thread_safe = true;
    static constexpr bool composes =
        mlflow::trace::composes<Exporter> && !deferring_exporter<Exporter> && !retrying_exporter<Exporter>;
    static constexpr bool retries = true;

    using options = spool_options<Exporter>;

    spool() : spool(options{}) {}
    explicit spool(options chosen) : options_(std::move(chosen)), worker_(worker_pointer(new worker(options_))) {
        static_assert(!deferring_exporter<Exporter>,
                      "spool: put the exporter that defers around it, batch<spool<...>>");
        static_assert(deferring_exporter<Exporter> || !retrying_exporter<Exporter>,
                      "spool: it tries again by itself, and keeps what is rejected; leave retry out");
    }
    spool(const spool&) = delete;
    spool& operator=(const spool&) = delete;

    /// What it says is exported is safe in the folder; failed is what could not be written.
    export_result export_traces(trace_batch& traces) noexcept {
        return detail::guarded([&] { return here().write(traces); },
                               [&] {
                                   worker_.drop(traces.span_count());
                                   return detail::failed_export(traces.span_count(), worker_.why_dropped);
                               });
    }

    /// Waits until everything that this process recorded before has been handed to the inner exporter; false at the
    /// deadline.
    bool flush(clock::time_point deadline) { return !worker_.own() || worker_.own()->flush(deadline); }
    /// A last flush, given up as soon as the receiver takes nothing: what is left stays in the folder for the next
    /// start.
    bool shutdown(clock::time_point deadline) { return !worker_.own() || worker_.own()->shutdown(deadline); }
    /// Waits until all that other processes have left behind has been handed on; false at the deadline, as soon as
    /// the receiver takes nothing, and where the folder cannot be looked into.
    bool recover(clock::time_point deadline) { return here().recover(deadline); }

    /// Of what this process recorded.
    [[nodiscard]] span_account account() { return worker_.account(); }
    [[nodiscard]] spool_status status() { return worker_.own() ? worker_.own()->status() : spool_status{}; }
    /// What is wrong now: why traces wait, or what is wrong with the folder; else why spans were last lost: put
    /// aside, or not written. Empty where neither is so: what was mended is forgotten.
    [[nodiscard]] std::string last_error() const { return worker_.last_error(); }

    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>)
            return worker_.own() ? worker_.own()->exporter().trace_url(id) : std::string();
        else return {};
    }

    /// The inner exporter. The background thread uses it too.
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
