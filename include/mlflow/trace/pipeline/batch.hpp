// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/core/options_of.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// Hands traces to another exporter from a thread of its own, many at a time, so that recording never waits.
///
/// Bounded: what does not fit into the queue is dropped (the newest) and counted. Thread-safety: all functions, from
/// any thread; the inner exporter is called from the one background thread only. The destructor waits for at most
/// `options::shutdown_timeout` for delivery, and beyond that for the one call that the inner exporter is in: a
/// transport bounds that by its own timeout.
template <class Exporter>
class batch {
    static_assert(
        exporter<Exporter>,
        "batch: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");

    using clock = std::chrono::steady_clock;

public:
    static constexpr bool is_thread_safe = true;

    struct options {
        detail::options_of<Exporter> exporter{};
        std::size_t max_queue_bytes = 64U * 1024 * 1024; ///< of encoded spans waiting
        std::size_t max_queue_spans = 262'144;
        std::size_t max_batch_bytes = 4U * 1024 * 1024; ///< of encoded spans in one call of the inner exporter
        std::size_t max_batch_spans = 4'096;
        std::chrono::milliseconds delay{500}; ///< the longest time that a trace waits for company
        std::chrono::milliseconds shutdown_timeout{5'000};
    };

    batch() : batch(options{}) {}
    explicit batch(options chosen)
        : options_(std::move(chosen)), exporter_(std::move(options_.exporter)), worker_([this] { work(); }) {}
    batch(const batch&) = delete;
    batch& operator=(const batch&) = delete;
    ~batch() {
        shutdown(clock::now() + options_.shutdown_timeout);
        {
            const std::lock_guard guard(lock_);
            abandoned_ = true;
        }
        wake_.notify_one();
        if constexpr (requires { exporter_.interrupt(); }) exporter_.interrupt();
        worker_.join();
    }

    export_result export_traces(trace_batch& traces) noexcept {
        const std::size_t spans = traces.span_count();
        bool wake = false;
        {
            const std::lock_guard guard(lock_);
            if (stopping_ || queue_.span_count() + spans > options_.max_queue_spans ||
                queue_.bytes() + traces.bytes() > options_.max_queue_bytes) {
                account_.dropped += spans;
                return {};
            }
            const bool was_idle = queue_.empty();
            const bool was_enough = enough();
            queue_.append(std::move(traces));
            accepted_ += spans;
            wake = was_idle || (!was_enough && enough());
        }
        if (wake) wake_.notify_one();
        return {};
    }

    /// Waits until everything accepted before has been handed to the inner exporter; false at the deadline.
    bool flush(clock::time_point deadline) {
        std::unique_lock guard(lock_);
        const std::uint64_t target = accepted_;
        if (handled_ >= target) return true;
        flush_until_ = target > flush_until_ ? target : flush_until_;
        wake_.notify_one();
        return handled_something_.wait_until(guard, deadline, [&] { return handled_ >= target; });
    }

    bool shutdown(clock::time_point deadline) {
        {
            const std::lock_guard guard(lock_);
            stopping_ = true;
        }
        const bool complete = flush(deadline);
        if constexpr (deferring_exporter<Exporter>) return exporter_.shutdown(deadline) && complete;
        else return complete;
    }

    [[nodiscard]] span_account account() {
        const std::lock_guard guard(lock_);
        span_account counted = account_;
        counted.queued = accepted_ - handled_;
        return counted;
    }
    /// Why the inner exporter last failed; empty when it never did.
    [[nodiscard]] std::string last_error() const {
        if constexpr (requires { exporter_.last_error(); })
            if (std::string error = exporter_.last_error(); !error.empty()) return error; // of an attempt under way
        const std::lock_guard guard(lock_);
        return last_error_;
    }

    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>) return exporter_.trace_url(id);
        else return {};
    }

    /// The inner exporter. The background thread uses it too.
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }

private:
    [[nodiscard]] bool enough() const noexcept {
        return queue_.bytes() >= options_.max_batch_bytes || queue_.span_count() >= options_.max_batch_spans;
    }
    [[nodiscard]] bool in_a_hurry() const noexcept { return abandoned_ || flush_until_ > handled_ || enough(); }

    void work() {
        std::unique_lock guard(lock_);
        for (;;) {
            wake_.wait(guard, [this] { return abandoned_ || !queue_.empty(); });
            if (!abandoned_) wake_.wait_for(guard, options_.delay, [this] { return in_a_hurry(); });
            if (abandoned_) break;
            trace_batch sending = take();
            const std::size_t spans = sending.span_count();
            guard.unlock();
            export_result outcome = detail::guarded_export(exporter_, sending);
            sending.clear();
            guard.lock();
            handled_ += spans;
            account_.exported += outcome.exported_spans;
            account_.failed += outcome.failed_spans;
            if (!outcome.ok()) last_error_.swap(outcome.error);
            handled_something_.notify_all();
        }
        account_.dropped += queue_.span_count();
        handled_ = accepted_;
        queue_.clear();
    }

    trace_batch take() noexcept {
        trace_batch taken;
        while (!queue_.empty() &&
               (taken.empty() || (taken.bytes() + queue_.begin()->bytes <= options_.max_batch_bytes &&
                                  taken.span_count() + queue_.begin()->span_count <= options_.max_batch_spans)))
            taken.push_back(queue_.pop_front());
        return taken;
    }

    options options_;
    Exporter exporter_;
    mutable std::mutex lock_;
    std::condition_variable wake_;
    std::condition_variable handled_something_;
    trace_batch queue_;
    span_account account_;
    std::string last_error_;
    std::uint64_t accepted_ = 0; // spans
    std::uint64_t handled_ = 0;
    std::uint64_t flush_until_ = 0;
    bool stopping_ = false;
    bool abandoned_ = false;
    std::thread worker_; // last: it uses all the others
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
