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

/// Hands traces to another exporter from a thread of its own, many at a time, so that recording does not wait.
///
/// Bounded: `when_full` says what becomes of traces that do not fit into the queue; those that are dropped are
/// counted, and `last_error` and a line on standard error tell. With several `Senders` as many threads export at
/// once, each by an inner exporter of its own. One more thread packs small traces where much waits; it sleeps else.
/// Thread-safety: all functions, from any thread; an inner exporter is called from its background thread only, unless
/// it defers itself: then from those that flush too.
///
/// The destructor waits for delivery for at most `shutdown_timeout`, and not again after `shutdown`. An inner
/// exporter that does not come back within 250 ms more is left to itself with its thread, and destroyed when it does:
/// what it was given by reference must live as long.
///
/// The child of a fork has a queue, a thread and an inner exporter of its own from its first trace on, and leaves
/// what waits to its parent. Where the options of the inner exporter cannot be copied it has none: what it records is
/// dropped and counted.
template <class Exporter, std::size_t Senders>
class batch {
    static_assert(
        exporter<Exporter>,
        "batch: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    static_assert(detail::has_whole_concepts<Exporter>());
    static_assert(Senders > 0, "batch: one sender at least");
    static_assert(Senders == 1 || std::is_copy_constructible_v<detail::options_of<Exporter>>,
                  "batch: each sender has an inner exporter of its own, so that its options must be copyable");

    using clock = std::chrono::steady_clock;
    using worker = detail::batch_worker<Exporter, Senders>;
    using worker_pointer = typename detail::per_process<worker>::pointer;

public:
    static constexpr bool is_thread_safe = true;
    static constexpr bool composes = mlflow::trace::composes<Exporter>;
    static constexpr bool retries = retrying_exporter<Exporter>;

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
    /// What waits after a flush that gave up, and why; else the `last_error` of the inner exporter; else why spans
    /// have last failed, or that traces were dropped. Empty where nothing was lost and nothing is wrong now.
    [[nodiscard]] std::string last_error() const { return worker_.last_error(); }

    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>)
            return worker_.own() ? worker_.own()->exporter().trace_url(id) : std::string();
        else return {};
    }

    /// The inner exporter of that sender. The background thread uses it too.
    [[nodiscard]] Exporter& exporter(std::size_t number = 0) {
        worker* const found = here();
        return (found ? *found : worker_.any()).exporter(number);
    }

private:
    // Null where the child of a fork cannot make one of its own.
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
