// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/pipeline/batch_worker.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
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
    explicit batch(options chosen)
        : options_(std::move(chosen)), worker_(new worker(options_of_worker(), span_account{})) {}
    batch(const batch&) = delete;
    batch& operator=(const batch&) = delete;
    ~batch() { delete own(); }

    export_result export_traces(trace_batch& traces) noexcept {
        worker* const found = detail::guarded([this] { return here(); }, []() -> worker* { return nullptr; });
        if (found) found->accept(traces);
        else homeless_.fetch_add(traces.span_count(), std::memory_order_relaxed);
        return {};
    }

    /// Waits until everything accepted before has been handed to the inner exporter; false at the deadline.
    bool flush(clock::time_point deadline) { return !own() || own()->flush(deadline); }
    /// A last flush; what comes later is dropped.
    bool shutdown(clock::time_point deadline) { return !own() || own()->shutdown(deadline); }

    [[nodiscard]] span_account account() {
        span_account counted = own() ? own()->account() : worker_.load()->account_to_inherit();
        counted.dropped += homeless_.load(std::memory_order_relaxed);
        return counted;
    }
    [[nodiscard]] batch_status status() { return own() ? own()->status() : batch_status{}; }
    /// Why the inner exporter last failed, or else that traces were dropped; empty when neither ever happened.
    [[nodiscard]] std::string last_error() const {
        if (homeless_.load(std::memory_order_relaxed) != 0)
            return "batch: no thread to deliver with in this forked process; make its tracer after the fork";
        return own() ? own()->last_error() : std::string();
    }

    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>) return own() ? own()->exporter().trace_url(id) : std::string();
        else return {};
    }

    /// The inner exporter. The background thread uses it too.
    [[nodiscard]] Exporter& exporter() {
        worker* const found = here();
        return (found ? found : worker_.load())->exporter();
    }

private:
    // Null in the child of a fork, at first: what is there is the parent's, whose thread is not here, and whose lock
    // may be held for ever.
    [[nodiscard]] worker* own() const noexcept {
        worker* const found = worker_.load(std::memory_order_acquire);
        return found->is_of_this_process() ? found : nullptr;
    }
    // Null where the child cannot make one of its own.
    worker* here() {
        if (worker* const found = own()) return found;
        if constexpr (!std::is_copy_constructible_v<options>) return nullptr;
        worker* of_parent = worker_.load(std::memory_order_acquire);
        auto made = std::make_unique<worker>(options_of_worker(), of_parent->account_to_inherit());
        if (worker_.compare_exchange_strong(of_parent, made.get())) return made.release();
        return worker_.load(); // another thread of the child was faster
    }
    options options_of_worker() {
        if constexpr (std::is_copy_constructible_v<options>) return options_;
        else return std::move(options_);
    }

    options options_;
    std::atomic<worker*> worker_;
    std::atomic<std::size_t> homeless_{0}; // spans for which there was no worker
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
