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

// The spool of one process: writes on the threads that record, forwards on a thread of its own.
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
    // `counted` is what was counted before, in the process that this one was forked from.
    explicit spool_worker(spool_options<Exporter> chosen, const span_account& counted = {})
        : base(std::move(chosen), counted) {
        threads_.start([this](std::size_t) { this->work(); });
    }
    spool_worker(const spool_worker&) = delete;
    spool_worker& operator=(const spool_worker&) = delete;
    ~spool_worker() { store_.close(); }

    // A last flush, if there was none. Ends the thread and the worker, whatever the exporter does.
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
                return "spool: at the end " + what_waits();
            });
        wake_.notify_one();
        if constexpr (interruptible_exporter<Exporter>) exporter_.interrupt();
        threads_.end();
    }

    [[nodiscard]] bool is_of_this_process() const noexcept { return process_ == machine::process(); }
    export_result write(const trace_batch& traces) noexcept {
        export_result outcome;
        lock_type guard(lock_);
        std::string why;
        const auto out_of_memory = [&] {
            if (!guard.owns_lock()) guard.lock();
            why = "out of memory"; // short enough not to need any
        };
        // What the inner exporter records by the tracer that it serves would make it export for ever.
        const bool refuses = stopping_ || threads_.is_own_thread();
        if (!refuses) guarded([&] { why = write(traces, outcome, guard); }, out_of_memory);
        outcome.failed_spans = traces.span_count() - outcome.exported_spans;
        account_.dropped += outcome.failed_spans;
        if (outcome.ok()) return outcome;
        guarded([&] { outcome.error = refuses ? "the spool is shut down, or its exporter records" : why; }, [] {});
        if (!refuses) error_.lost(why);
        guard.unlock();
        if (!refuses)
            line_.say([&] {
                return "spool: " + std::to_string(outcome.failed_spans) + " spans were not written: " + outcome.error;
            });
        return outcome;
    }

    bool flush(clock::time_point deadline) {
        if (threads_.is_own_thread()) return false; // it would wait for itself
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
        const std::uint64_t target = recoveries_ + (is_looking_ ? 2 : 1); // a look under way may have passed by
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
    // Without the lock.
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
    [[nodiscard]] std::string last_error() {
        if constexpr (reporting_exporter<Exporter>)
            if (std::string error = exporter_.last_error(); !error.empty()) return error; // of an attempt under way
        const std::lock_guard guard(lock_);
        return flushes_.has_given_up(handled()) ? "spool: " + what_waits() : this->error_text();
    }
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }

private:
    [[nodiscard]] bool is_stopping() noexcept {
        const std::lock_guard guard(lock_);
        return stopping_;
    }

    // ---- On the threads of the application.

    // Why the last of those that were not written was not.
    std::string write(const trace_batch& traces, export_result& outcome, lock_type& guard) {
        const bool was_idle = accepted_ == handled();
        const bool was_enough = enough();
        const std::uint64_t dropped = store_.dropped();
        part_pointer last;
        std::string why;
        for (const trace_data& trace : traces) {
            auto written = store_.write(trace);
            if (!written) {
                why = store_.error();
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
        return why;
    }

    // One thread syncs for all that wait.
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
            store_.fail(written.segment->path()); // it is written all the same
            std::string why = store_.error();
            error_.wrong(why);
        }
    }

    // Has the thread try at once.
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
    worker_threads<spool_worker> threads_{*this}; // last: it uses all the others
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
