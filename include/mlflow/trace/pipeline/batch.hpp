// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/pipeline/batch_worker.hpp>
#include <mlflow/trace/pipeline/process_worker.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// Hands traces to another exporter from a thread of its own, many at a time, so that recording does not wait.
///
/// Bounded: `when_full` says what becomes of traces that do not fit into the queue; those that are dropped are
/// counted, and `last_error` tells. Thread-safety: all functions, from any thread; the inner exporter is called from
/// the one background thread only. The destructor waits for at most `shutdown_timeout` for delivery, and beyond that
/// for the one call that the inner exporter is in: a transport bounds that by its own timeout.
///
/// The child of a fork has a queue, a thread and an inner exporter of its own from its first trace on, and leaves
/// what waits to its parent. Where the options of the inner exporter cannot be copied it has none: what it records is
/// dropped and counted.
template <class Exporter>
class batch {
    static_assert(
        exporter<Exporter>,
        "batch: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");

    using clock = std::chrono::steady_clock;
    using worker = detail::batch_worker<Exporter>;

public:
    static constexpr bool is_thread_safe = true;

    using options = batch_options<Exporter>;

    batch() : batch(options{}) {}
    explicit batch(options chosen) : options_(std::move(chosen)), worker_(make_worker({})) {}
    batch(const batch&) = delete;
    batch& operator=(const batch&) = delete;

    export_result export_traces(trace_batch& traces) noexcept {
        worker* const found = detail::guarded([this] { return here(); }, []() -> worker* { return nullptr; });
        if (found) found->accept(traces);
        else worker_.drop(traces.span_count());
        return {};
    }

    /// Waits until everything accepted before has been handed to the inner exporter; false at the deadline.
    bool flush(clock::time_point deadline) { return !worker_.own() || worker_.own()->flush(deadline); }
    /// A last flush; what comes later is dropped.
    bool shutdown(clock::time_point deadline) { return !worker_.own() || worker_.own()->shutdown(deadline); }

    [[nodiscard]] span_account account() { return worker_.account(); }
    [[nodiscard]] batch_status status() { return worker_.own() ? worker_.own()->status() : batch_status{}; }
    /// Why the inner exporter last failed, or else that traces were dropped; empty when neither ever happened.
    [[nodiscard]] std::string last_error() const { return worker_.last_error(); }

    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>)
            return worker_.own() ? worker_.own()->exporter().trace_url(id) : std::string();
        else return {};
    }

    /// The inner exporter. The background thread uses it too.
    [[nodiscard]] Exporter& exporter() {
        worker* const found = here();
        return (found ? *found : worker_.any()).exporter();
    }

private:
    // Null where the child of a fork cannot make one of its own.
    worker* here() {
        if constexpr (!std::is_copy_constructible_v<options>) return worker_.own();
        else return &worker_.own_or([this](const span_account& counted) { return make_worker(counted); });
    }
    std::unique_ptr<worker> make_worker(const span_account& counted) {
        if constexpr (std::is_copy_constructible_v<options>)
            return std::make_unique<worker>(options(options_), counted);
        else return std::make_unique<worker>(std::move(options_), counted);
    }

    options options_;
    detail::process_worker<worker> worker_;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
