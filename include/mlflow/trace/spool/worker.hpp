// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/export_progress.hpp>
#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/platform/worker_threads.hpp>
#include <mlflow/trace/spool/forwarder.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The spool of one process: writes on the recording threads, forwards on its own thread.
template <class Exporter, class Files>
class spool_worker : spool_forwarder<Exporter, Files> {
    using base = spool_forwarder<Exporter, Files>;
    using base::accepted_, base::account_, base::changed_, base::ending_, base::enough, base::error_, base::exporter_,
        base::failed_looks_, base::flushes_, base::handled, base::is_looking_, base::line_, base::lock_,
        base::next_look_, base::options_, base::orphan_, base::pauses_, base::process_, base::recoveries_,
        base::requests_, base::status_, base::store_, base::tell_what_waits, base::wake_, base::what_waits;
    using clock = std::chrono::steady_clock;
    using typename base::lock_type, typename base::part, typename base::part_pointer;

public:
    // `counted` is the account of the process that this one was forked from.
    explicit spool_worker(spool_options<Exporter> chosen, const span_account& counted = {})
        : base(std::move(chosen), counted) {
        threads_.start([this](std::size_t) { this->work(); });
    }
    spool_worker(const spool_worker&) = delete;
    spool_worker& operator=(const spool_worker&) = delete;
    ~spool_worker() { store_.close(); }

    // A final flush, unless there was one. Then ends the thread and the worker even if the exporter does not return.
    void end() noexcept {
        if (!is_stopping()) shutdown(deadline_after(options_.shutdown_timeout));
        bool is_left = false;
        {
            const std::lock_guard guard(lock_);
            ending_ = true;
            is_left = accepted_ != handled() || orphan_;
        }
        if (is_left)
            line_.say_at_once([this] {
                const std::lock_guard guard(lock_);
                return what_waits("at shutdown, ").message();
            });
        wake_.notify_one();
        if constexpr (interruptible_exporter<Exporter>) exporter_.interrupt();
        threads_.end();
    }

    [[nodiscard]] bool is_of_this_process() const noexcept { return process_ == machine::process(); }
    export_result write(const trace_batch& traces) noexcept {
        export_result outcome;
        lock_type guard(lock_);
        const auto out_of_memory = [&] {
            if (!guard.owns_lock()) guard.lock();
            outcome.error = error(error_kind::out_of_memory);
        };
        // An exporter that records with the tracer it serves would otherwise export endlessly.
        const bool refuses = stopping_ || threads_.is_own_thread();
        if (!refuses) guarded([&] { write(traces, outcome, guard); }, out_of_memory);
        outcome.failed_spans = traces.span_count() - outcome.exported_spans;
        account_.dropped += outcome.failed_spans;
        if (outcome.ok()) return outcome;
        if (refuses) {
            outcome.error = error(error_kind::dropped, "spool",
                                  "it is shut down, or the spans were recorded by its own exporter");
            return outcome;
        }
        error_.lost(outcome.error);
        guard.unlock();
        line_.say([&] {
            return "spool: " + std::to_string(outcome.failed_spans) +
                   " spans were not written: " + outcome.error.message();
        });
        return outcome;
    }

    bool flush(clock::time_point deadline) {
        if (threads_.is_own_thread()) return false; // this thread would wait for itself
        lock_type guard(lock_);
        const std::uint64_t target = accepted_;
        flushes_.ask(target, account_.exported);
        if (wait_for(guard, deadline, [&] { return handled() >= target; }, stopping_)) return true;
        flushes_.give_up(target);
        tell_what_waits(guard);
        return false;
    }
    bool recover(clock::time_point deadline) {
        lock_type guard(lock_);
        // A look in progress may have missed the newest file.
        const std::uint64_t target = recoveries_ + (is_looking_ ? 2 : 1);
        next_look_ = clock::now();
        const auto is_done = [&, failed = failed_looks_] { return recoveries_ >= target || failed_looks_ != failed; };
        return wait_for(guard, deadline, is_done, true) && recoveries_ >= target;
    }
    bool shutdown(clock::time_point deadline) {
        {
            const std::lock_guard guard(lock_);
            stopping_ = true;
        }
        return flush(deadline);
    }

    [[nodiscard]] span_account account() {
        const std::lock_guard guard(lock_);
        return account_now();
    }
    // Does not take the lock.
    [[nodiscard]] span_account account_now() const noexcept {
        span_account counted = account_;
        counted.dropped += store_.dropped();
        counted.queued = accepted_ - handled();
        return counted;
    }
    [[nodiscard]] spool_status status() {
        const std::lock_guard guard(lock_);
        spool_status now = status_;
        now.bytes = store_.bytes_in_folder();
        now.dropped_recovered = store_.dropped_of_others();
        now.failed_file_calls = store_.failures();
        now.progress = account_.exported + now.recovered_spans + progress_of(exporter_).steps;
        return now;
    }
    [[nodiscard]] error last_error() {
        if constexpr (reporting_exporter<Exporter>)
            if (error of_this_attempt = exporter_.last_error()) return of_this_attempt;
        const std::lock_guard guard(lock_);
        return flushes_.has_given_up(handled()) ? what_waits() : this->latest_error_now();
    }
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }

private:
    [[nodiscard]] bool is_stopping() noexcept {
        const std::lock_guard guard(lock_);
        return stopping_;
    }

    // ---- Called on the recording threads.

    // `outcome.error` says why the last of the traces that were not written failed.
    void write(const trace_batch& traces, export_result& outcome, lock_type& guard) {
        const bool was_idle = accepted_ == handled();
        const bool was_enough = enough();
        const std::uint64_t dropped = store_.dropped();
        part_pointer last;
        for (const trace_data& trace : traces) {
            auto written = store_.write(trace);
            if (!written) {
                outcome.error = store_.error();
                continue;
            }
            accepted_ += trace.span_count;
            outcome.exported_spans += trace.span_count;
            if (last && last != written) sync(guard, *last);
            last = std::move(written);
        }
        if (was_idle || (!was_enough && enough())) wake_.notify_one();
        if (dropped != store_.dropped()) changed_.notify_all();
        if (last) sync(guard, *last);
    }

    // One thread syncs for all that are waiting.
    void sync(lock_type& guard, part& written) {
        if (options_.durability != spool_durability::power_loss) return;
        const std::uint64_t target = written.appended;
        while (written.synced < target) {
            if (written.is_syncing) {
                changed_.wait(guard);
                continue;
            }
            written.is_syncing = true;
            const std::uint64_t until = written.appended;
            guard.unlock();
            const bool good = written.segment->sync();
            guard.lock();
            written.synced = until;
            written.is_syncing = false;
            changed_.notify_all();
            if (good) continue;
            store_.fail(written.segment->path()); // the trace is written, though it may not survive a power failure
            error_.wrong(store_.error());
        }
    }

    // Makes the forwarding thread try at once, then waits.
    template <class Condition>
    bool wait_for(lock_type& guard, clock::time_point deadline, const Condition& is_done, bool only_while_taken) {
        if (is_done()) return true;
        ++requests_;
        wake_.notify_one();
        changed_.wait_until(guard, deadline,
                            [&, pauses = pauses_] { return is_done() || (only_while_taken && pauses_ != pauses); });
        return is_done();
    }

    bool stopping_ = false;
    worker_threads<spool_worker> threads_{*this}; // last, because the thread uses all other members
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
