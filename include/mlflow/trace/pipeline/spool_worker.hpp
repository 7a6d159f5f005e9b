// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_progress.hpp>
#include <mlflow/trace/core/worker_threads.hpp>
#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/machine.hpp>
#include <mlflow/trace/pipeline/backoff.hpp>
#include <mlflow/trace/pipeline/fault_finder.hpp>
#include <mlflow/trace/pipeline/spool_store.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// What a spool holds: spans of its own process, and bytes that another one left.
inline std::string waiting_text(std::uint64_t spans, std::uint64_t bytes, const std::string& error) {
    std::string text = spans != 0 || bytes == 0 ? std::to_string(spans) + " spans" : std::string();
    if (bytes != 0)
        text += (text.empty() ? "" : " and ") + std::to_string(bytes) + " bytes that another process left";
    return text + " wait in the folder: " + (error.empty() ? "the receiver has not answered for them yet" : error);
}

// The spool of one process: writes on the threads that record, forwards on a thread of its own.
template <class Exporter, class Files>
class spool_worker {
    using clock = std::chrono::steady_clock;
    using store_type = spool_store<Files>;
    using part = typename store_type::part;
    using part_pointer = typename store_type::part_pointer;
    using lock_type = std::unique_lock<std::mutex>;

public:
    // `counted` is what was counted before, in the process that this one was forked from.
    explicit spool_worker(spool_options<Exporter> chosen, const span_account& counted = {})
        : options_(std::move(chosen)), exporter_(std::move(options_.exporter)), store_(options_), account_(counted) {
        threads_.start([this](std::size_t) { work(); });
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
        if constexpr (requires { exporter_.interrupt(); }) exporter_.interrupt();
        threads_.end();
    }

    [[nodiscard]] bool is_of_this_process() const noexcept { return process_ == machine::process(); }
    export_result write(const trace_batch& traces) noexcept {
        export_result outcome;
        lock_type guard(lock_);
        const auto locked_again = [&] { guard.owns_lock() ? void() : guard.lock(); };
        // What the inner exporter records by the tracer that it serves would make it export for ever.
        const bool refuses = stopping_ || threads_.is_own_thread();
        if (!refuses) guarded([&] { write(traces, outcome, guard); }, locked_again);
        outcome.failed_spans = traces.span_count() - outcome.exported_spans;
        account_.dropped += outcome.failed_spans;
        if (outcome.ok()) return outcome;
        guarded([&] { outcome.error = refuses ? "the spool is shut down, or its exporter records" : last_error_; },
                [] {});
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
        flush_until_ = std::max(flush_until_, target);
        if (wait_for(guard, deadline, [&] { return handled() >= target; }, stopping_)) return true;
        given_up_until_ = std::max(given_up_until_, target);
        tell_what_waits(guard);
        return false;
    }
    bool recover(clock::time_point deadline) {
        lock_type guard(lock_);
        const std::uint64_t target = recoveries_ + (is_looking_ ? 2 : 1); // a look under way may have passed by
        next_look_ = clock::now();
        return wait_for(guard, deadline, [&] { return recoveries_ >= target; }, true);
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
        if constexpr (requires { exporter_.last_error(); })
            if (std::string error = exporter_.last_error(); !error.empty()) return error; // of an attempt under way
        const std::lock_guard guard(lock_);
        return given_up_until_ > handled() ? "spool: " + what_waits() : last_error_;
    }
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }

private:
    [[nodiscard]] bool is_stopping() noexcept {
        const std::lock_guard guard(lock_);
        return stopping_;
    }
    [[nodiscard]] std::uint64_t handled() const noexcept { return handled_ + store_.dropped(); }
    [[nodiscard]] bool enough() const noexcept {
        return store_.bytes() >= options_.max_batch_bytes || accepted_ - handled() >= options_.max_batch_spans;
    }

    // ---- On the threads of the application.

    void write(const trace_batch& traces, export_result& outcome, lock_type& guard) {
        const bool was_idle = accepted_ == handled();
        const bool was_enough = enough();
        const std::uint64_t dropped = store_.dropped();
        part_pointer last;
        for (const trace_data& trace : traces) {
            auto written = store_.write(trace);
            if (!written) {
                last_error_ = store_.error();
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
            if (!good)
                store_.fail(written.segment->path()), last_error_ = store_.error(); // it is written all the same
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

    // ---- On the thread that forwards.

    void work() {
        lock_type guard(lock_);
        const auto out_of_memory = [&] {
            if (!guard.owns_lock()) guard.lock();
            is_looking_ = false;
            pause(guard, own_waits_.next({}), {});
        };
        while (!ending_) guarded([&] { step(guard); }, out_of_memory);
    }

    void step(lock_type& guard) {
        if (!orphan_ && clock::now() >= next_look_) look_for_orphan(guard);
        const bool is_asked = flush_until_ > handled();
        if (orphan_ && !(is_asked && store_.front())) return forward(guard, orphan_);
        if (store_.front()) {
            wake_.wait_until(guard, deadline_after(options_.delay),
                             [this] { return ending_ || flush_until_ > handled() || enough(); });
            if (const auto own = store_.front(); own && !ending_) forward(guard, own);
        } else {
            wake_.wait_until(guard, next_look_, [this, requests = requests_] {
                return ending_ || store_.front() || requests_ != requests;
            });
        }
    }

    void look_for_orphan(lock_type& guard) {
        store_.finish_again();
        next_look_ = clock::now() + std::chrono::seconds(1);
        is_looking_ = true;
        guard.unlock();
        auto seen = look_into<Files>(options_.folder);
        guard.lock();
        is_looking_ = false;
        store_.set_bytes_in_folder(seen.bytes);
        if (!seen.fault.empty()) last_error_.swap(seen.fault);
        if (!seen.orphan) {
            ++recoveries_;
            changed_.notify_all();
            return;
        }
        next_look_ = {}; // there may be more
        orphan_ = part_of(std::move(seen.orphan));
    }
    static part_pointer part_of(std::unique_ptr<spool_segment<Files>> orphan) {
        if (!orphan) return nullptr;
        const auto made = std::make_shared<part>();
        made->segment = std::move(orphan);
        made->is_own = false;
        return made;
    }

    using load = spool_load;

    load next_load(spool_reader<Files>& reader) const {
        load next;
        const auto has_room = [&] { // for one at least
            return next.traces.empty() || (next.traces.span_count() < options_.max_batch_spans &&
                                           next.traces.bytes() < options_.max_batch_bytes);
        };
        for (bool is_over = false; !is_over && has_room();) {
            const std::string_view content = reader.next();
            is_over = !content.data();
            auto how = spool_format::reading::done;
            trace_data* const trace = is_over ? nullptr : spool_format::decode_record(content, how);
            if (how == spool_format::reading::out_of_memory) {
                if (next.traces.empty()) throw std::bad_alloc();
                break; // that one comes again
            }
            if (trace) next.traces.push_back(trace);
            next.has_foreign = next.has_foreign || how == spool_format::reading::foreign;
            next.until = reader.position();
            next.damage = reader.damage();
        }
        return next;
    }

    void forward(lock_type& guard, const part_pointer from) {
        if (!from->load) {
            auto reader = from->segment->reader();
            guard.unlock();
            load next = next_load(reader);
            guard.lock();
            if (from->is_gone) return;
            from->is_kept = from->is_kept || next.has_foreign;
            if (reader.failed() && next.traces.empty()) return could_not_read(guard, from);
            from->load = std::move(next);
        }
        load& sent = *from->load;
        finder_host host{*this, from};
        guard.unlock();
        auto round = finder_.deliver(std::move(sent.traces), ++sent.rounds, host);
        guard.lock();
        sent.traces = std::move(round.again);
        if (!round.error.empty()) last_error_.swap(round.error);
        if (from->is_gone) return;
        (from->is_own ? account_.exported : status_.recovered_spans) += round.exported;
        const std::size_t rejected = round.failed - host.put_aside_spans; // of what the receiver took
        status_.rejected_spans += rejected;
        if (from->is_own) account_.failed += rejected;
        done_with(*from, round.exported + rejected);
        if (sent.traces.empty()) move_on(from);
        else pause(guard, finder_.next_wait(round), round.retry_after);
    }

    // What the finder asks for while the worker is not locked.
    struct finder_host {
        spool_worker& worker;
        const part_pointer& from;
        std::size_t put_aside_spans = 0;

        bool is_ending() noexcept {
            const std::lock_guard guard(worker.lock_);
            return worker.ending_;
        }
        trace_data* another() noexcept {
            return guarded([&] { return worker.another_than(*from); }, []() -> trace_data* { return nullptr; });
        }
        void put_aside(trace_batch& batch, const std::string& error) noexcept {
            put_aside_spans += batch.span_count();
            worker.put_aside(batch, error, *from);
        }
    };

    // Of those behind the load in its segment the next one at each call, then one of another segment.
    trace_data* another_than(part& from) {
        lock_type guard(lock_);
        auto reader = from.segment->reader(from.load->until);
        const std::size_t passed_over = from.load->asked_for++;
        guard.unlock();
        std::string_view content = reader.next();
        for (std::size_t i = 0; i < passed_over && content.data(); ++i) content = reader.next();
        if (content.data()) return spool_format::decode_record(content);
        guard.lock();
        from.load->asked_for = 0;
        const part_pointer other = other_part_than(guard, from);
        if (!other) return nullptr;
        auto elsewhere = other->segment->reader();
        if (guard.owns_lock()) guard.unlock();
        content = elsewhere.next();
        return content.data() ? spool_format::decode_record(content) : nullptr;
    }
    part_pointer other_part_than(lock_type& guard, const part& from) {
        if (!from.is_own && store_.front()) return store_.front();
        if (from.is_own && store_.second()) return store_.second();
        if (from.is_own && orphan_) return orphan_;
        guard.unlock();
        return part_of(std::move(look_into<Files>(options_.folder).orphan));
    }

    void put_aside(trace_batch& batch, const std::string& error, part& from) noexcept {
        const auto keep = [&] {
            for (const trace_data& trace : batch)
                line_.say([&] {
                    return "spool: " + std::string(trace.id.mlflow_id().view()) + " was put aside: " + error;
                });
            const std::lock_guard guard(lock_);
            for (const trace_data& trace : batch)
                if (!store_.put_aside(trace)) from.is_kept = true; // the whole of it instead, which takes no room
        };
        guarded(keep, [] {}); // counted all the same
        const std::lock_guard guard(lock_);
        if (from.is_gone) return;
        status_.rejected_spans += batch.span_count();
        if (from.is_own) account_.failed += batch.span_count();
        done_with(from, batch.span_count());
    }

    void done_with(part& from, std::size_t spans) noexcept {
        if (!from.is_own) return;
        const auto done = std::min<std::uint64_t>(spans, from.spans);
        handled_ += done;
        from.spans -= done;
        changed_.notify_all();
    }

    // All of the load is done with.
    void move_on(const part_pointer& from) {
        status_.damaged_places += from->load->damage.places;
        status_.damaged_bytes += from->load->damage.bytes;
        from->segment->set_forwarded(from->load->until);
        from->load.reset();
        own_waits_.reset();
        if (from->segment->forwarded() >= from->segment->size()) finish(from);
        changed_.notify_all();
    }

    void finish(const part_pointer& done) {
        account_.failed += done->spans; // what damage has swallowed
        handled_ += std::exchange(done->spans, 0);
        store_.finish(done);
        if (done == orphan_) orphan_.reset();
    }

    void could_not_read(lock_type& guard, const part_pointer& from) {
        store_.fail(from->segment->path());
        last_error_ = store_.error();
        constexpr int most_attempts = 5;
        if (++from->unreadable < most_attempts) return pause(guard, own_waits_.next({}), {});
        from->is_kept = true;
        finish(from);
        changed_.notify_all();
    }

    void tell_what_waits(lock_type& guard) {
        guard.unlock();
        line_.say([this] {
            const std::lock_guard reading(lock_);
            return "spool: " + what_waits();
        });
        guard.lock();
    }
    [[nodiscard]] std::string what_waits() const {
        std::string why = progress_of(exporter_).waits_for;
        if (!last_error_.empty()) why += (why.empty() ? "" : "; the latest error: ") + last_error_;
        return waiting_text(accepted_ - handled(), orphan_ ? orphan_->segment->left() : 0, why);
    }

    // Until the next attempt. Who asks for one has it at once, unless the receiver wants its time.
    void pause(lock_type& guard, std::chrono::milliseconds chosen, std::chrono::milliseconds asked) {
        ++pauses_;
        changed_.notify_all();
        const std::uint64_t requests = requests_;
        tell_what_waits(guard);
        wake_.wait_until(guard, deadline_after(chosen),
                         [&] { return ending_ || (asked.count() == 0 && requests_ != requests); });
    }

    const std::uint32_t process_ = machine::process();
    spool_options<Exporter> options_;
    Exporter exporter_;
    std::mutex lock_;
    std::condition_variable wake_;    // the thread that forwards
    std::condition_variable changed_; // whoever waits for it, or for a sync
    store_type store_;
    fault_finder<Exporter> finder_{exporter_, options_.first_wait, options_.longest_wait};
    backoff own_waits_{options_.first_wait, options_.longest_wait}; // where a file or the memory is at fault
    part_pointer orphan_;                                           // of a process that is gone, on its way
    span_account account_;
    spool_status status_;
    std::string last_error_;
    std::uint64_t accepted_ = 0; // spans
    std::uint64_t handled_ = 0;
    std::uint64_t flush_until_ = 0;
    std::uint64_t given_up_until_ = 0; // by a flush that did not wait any longer
    std::uint64_t requests_ = 0;       // for an attempt at once
    std::uint64_t pauses_ = 0;         // after an attempt in vain
    std::uint64_t recoveries_ = 0;     // looks into the folder that found nothing left behind
    clock::time_point next_look_ = clock::now();
    diagnostic_line line_{options_.diagnostics};
    bool is_looking_ = false;
    bool stopping_ = false;
    bool ending_ = false;
    worker_threads<spool_worker> threads_{*this}; // last: it uses all the others
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
