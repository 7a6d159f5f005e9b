// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/core/options_of.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/pipeline/spool_pace.hpp>
#include <mlflow/trace/pipeline/spool_store.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// What an acknowledged trace survives.
enum class spool_durability : std::uint8_t {
    process_crash, ///< kill -9: the operating system has it. Costs one `write` for each trace
    power_loss     ///< also that: the disk has it. Threads that record at the same time share an `fdatasync`
};

/// What is given up when the folder has reached its size.
enum class spool_full : std::uint8_t {
    drop_newest, ///< what is recorded from then on
    drop_oldest  ///< the oldest segment in the folder, also one that another process has left behind
};

/// What a spool saw besides its account.
struct spool_status {
    std::uint64_t bytes = 0;             ///< of all files in the folder, as last seen
    std::uint64_t recovered_spans = 0;   ///< delivered for processes that are gone
    std::uint64_t rejected_spans = 0;    ///< refused by the receiver, put aside in a `.rejected` file
    std::uint64_t dropped_recovered = 0; ///< spans of processes that are gone, given up by `drop_oldest`
    std::uint64_t damaged_places = 0;    ///< passed over, where a file was no longer what had been written
    std::uint64_t damaged_bytes = 0;
    std::uint64_t failed_file_calls = 0; ///< disk full, and the like
};

/// Writes traces to files before it hands them to another exporter, so that a trace is safe as soon as it is
/// recorded: the process may crash, the receiver be away for days. Delivered at least once; MLflow takes a second
/// time without harm.
///
/// Put it outermost (`spool<mlflow_exporter<…>>`): recording then writes, in some microseconds, and a trace that has
/// ended is safe. In `batch<spool<…>>` recording does not even write, and what waits in the queue is not safe yet.
///
/// Several processes may share a folder on a local disk. Each writes to files of its own; those of a process that is
/// gone are delivered by the others, or by the next start. What the receiver refuses for good is put aside in a file
/// `*.rejected`; `examples/mlflow_spool` shows and forwards such files. A damaged record costs only itself. The
/// folder holds what users said, but no credentials; it is made for this user alone, and one that others may write to
/// is refused.
///
/// Errors: a trace that cannot be written (disk full) is dropped and counted, and the next one is tried again.
/// Thread-safety: all functions, from any thread, of the process that made it; the inner exporter is called from the
/// one background thread only. The destructor waits for delivery for at most `options::shutdown_timeout`, and no
/// longer than until an attempt fails: the rest is on the disk.
template <class Exporter, class Files = posix_files>
class spool {
    static_assert(
        exporter<Exporter>,
        "spool: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    static_assert(!deferring_exporter<Exporter>, "spool: put the exporter that defers around it, batch<spool<…>>");

    using clock = std::chrono::steady_clock;
    using store_type = detail::spool_store<Files>;
    using part_pointer = typename store_type::part_pointer;

public:
    static constexpr bool is_thread_safe = true;

    struct options {
        detail::options_of<Exporter> exporter{};
        std::string folder = "mlflow-spool"; ///< made where it does not exist
        spool_durability durability = spool_durability::process_crash;
        std::uint64_t max_bytes = 1024U * 1024 * 1024; ///< of all files in the folder
        spool_full when_full = spool_full::drop_newest;
        std::uint64_t segment_bytes = 16U * 1024 * 1024; ///< of one file, about: what is deleted at once
        std::size_t max_batch_bytes = 4U * 1024 * 1024;  ///< of encoded spans in one call of the inner exporter
        std::size_t max_batch_spans = 4'096;
        std::chrono::milliseconds delay{500};      ///< the longest time that a trace waits for company
        std::chrono::milliseconds first_wait{200}; ///< after a failed attempt; each next one is longer by half
        std::chrono::milliseconds longest_wait{30'000};
        std::chrono::milliseconds shutdown_timeout{5'000};
    };

    spool() : spool(options{}) {}
    explicit spool(options chosen)
        : options_(std::move(chosen)), exporter_(std::move(options_.exporter)),
          store_(options_.folder, std::min(options_.segment_bytes, options_.max_bytes / 4)),
          worker_([this] { work(); }) {}
    spool(const spool&) = delete;
    spool& operator=(const spool&) = delete;
    ~spool() {
        shutdown(clock::now() + options_.shutdown_timeout);
        {
            const std::lock_guard guard(lock_);
            ending_ = true;
        }
        wake_.notify_one();
        if constexpr (requires { exporter_.interrupt(); }) exporter_.interrupt();
        worker_.join();
        store_.close();
    }

    /// What it says is exported is safe in the folder; failed is what could not be written.
    export_result export_traces(trace_batch& traces) noexcept {
        const std::size_t spans = traces.span_count();
        return detail::guarded([&] { return write(traces); },
                               [&] { return detail::failed_export(spans, "out of memory"); });
    }

    /// Waits until everything that this process recorded before has been handed to the inner exporter; false at the
    /// deadline.
    bool flush(clock::time_point deadline) {
        std::unique_lock guard(lock_);
        const std::uint64_t target = accepted_;
        if (handled_ >= target) return true;
        flush_until_ = std::max(flush_until_, target);
        ++flushes_;
        const std::uint64_t pauses = pauses_;
        wake_.notify_one();
        handled_something_.wait_until(guard, deadline,
                                      [&] { return handled_ >= target || (stopping_ && pauses_ != pauses); });
        return handled_ >= target;
    }

    /// Waits until all that other processes have left behind has been handed on; false at the deadline, and as soon
    /// as the receiver takes nothing.
    bool recover(clock::time_point deadline) {
        std::unique_lock guard(lock_);
        const std::uint64_t target = recoveries_ + (is_looking_ ? 2 : 1); // a look under way may have passed by
        const std::uint64_t pauses = pauses_;
        next_look_ = clock::now();
        ++flushes_;
        wake_.notify_one();
        handled_something_.wait_until(guard, deadline, [&] { return recoveries_ >= target || pauses_ != pauses; });
        return recoveries_ >= target;
    }

    /// A last flush, given up as soon as the receiver takes nothing: what is left stays in the folder for the next
    /// start.
    bool shutdown(clock::time_point deadline) {
        {
            const std::lock_guard guard(lock_);
            stopping_ = true;
        }
        return flush(deadline);
    }

    /// Of what this process recorded.
    [[nodiscard]] span_account account() {
        const std::lock_guard guard(lock_);
        span_account counted = account_;
        counted.queued = accepted_ - handled_;
        return counted;
    }
    [[nodiscard]] spool_status status() {
        const std::lock_guard guard(lock_);
        spool_status now = status_;
        now.bytes = store_.bytes() + others_bytes_;
        now.failed_file_calls += store_.failures();
        return now;
    }
    /// Why a file could not be written, or the inner exporter last failed; empty when neither ever happened.
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
    // ---- On the threads that record.

    export_result write(const trace_batch& traces) {
        export_result outcome;
        std::unique_lock guard(lock_);
        const bool was_idle = accepted_ == handled_;
        const bool was_enough = enough();
        part_pointer last;
        for (const trace_data& trace : traces) {
            if (auto part = stopping_ ? nullptr : write_one(trace)) {
                accepted_ += trace.span_count;
                outcome.exported_spans += trace.span_count;
                if (last && last != part) sync(guard, *last);
                last = std::move(part);
            } else {
                account_.dropped += trace.span_count;
                outcome.failed_spans += trace.span_count;
                outcome.error = stopping_ ? "the spool is shut down" : last_error_;
            }
        }
        if (was_idle || (!was_enough && enough())) wake_.notify_one();
        if (last) sync(guard, *last);
        return outcome;
    }

    part_pointer write_one(const trace_data& trace) {
        auto part = store_.writable();
        record_.clear();
        if (!part) last_error_ = store_.error();
        else if (!detail::spool_format::append_record(record_, part->segment->marker(), trace))
            last_error_ = options_.folder + ": out of memory, or a span of over 256 MiB";
        else if (!make_room(record_.size()))
            last_error_ = options_.folder + ": holds max_bytes, " + std::to_string(options_.max_bytes) +
                          "; see why its traces are not taken, or give it more";
        else if (!store_.append(*part, record_.view(), trace.span_count)) last_error_ = store_.error();
        else return part;
        return nullptr;
    }

    bool make_room(std::size_t needed) {
        while (store_.bytes() + others_bytes_ + needed > options_.max_bytes)
            if (options_.when_full == spool_full::drop_newest || !drop_oldest()) return false;
        return true;
    }
    bool drop_oldest() {
        if (others_bytes_ > 0) {
            auto seen = detail::look_into<Files>(options_.folder);
            const std::uint64_t all = seen.bytes;
            if (seen.orphan && seen.orphan->remove()) {
                auto reader = seen.orphan->reader();
                for (std::string_view content; (content = reader.next()).data();)
                    status_.dropped_recovered += detail::spool_format::span_count(content);
                others_bytes_ = others_of(all - std::min(all, seen.orphan->size()));
                return true;
            }
            others_bytes_ = others_of(all);
        }
        const auto part = store_.oldest_full();
        if (!part) return false;
        part->is_gone = true;
        account_.dropped += part->spans;
        handled_ += part->spans;
        store_.finish(part);
        handled_something_.notify_all();
        return true;
    }
    [[nodiscard]] std::uint64_t others_of(std::uint64_t all) const noexcept {
        return all - std::min(all, store_.bytes());
    }

    // One thread syncs for all that wait.
    void sync(std::unique_lock<std::mutex>& guard, detail::spool_part<Files>& part) {
        if (options_.durability != spool_durability::power_loss) return;
        const std::uint64_t target = part.appended;
        while (part.synced < target) {
            if (part.is_syncing) {
                synced_.wait(guard);
                continue;
            }
            part.is_syncing = true;
            const std::uint64_t until = part.appended;
            guard.unlock();
            const bool good = part.segment->sync();
            guard.lock();
            if (!good) {
                store_.fail(part.segment->path());
                last_error_ = store_.error(); // it is written, and will be forwarded
            }
            part.synced = until;
            part.is_syncing = false;
            synced_.notify_all();
        }
    }

    // ---- On the thread that forwards.

    [[nodiscard]] bool enough() const noexcept {
        return store_.bytes() >= options_.max_batch_bytes || accepted_ - handled_ >= options_.max_batch_spans;
    }
    [[nodiscard]] bool in_a_hurry() const noexcept { return ending_ || flush_until_ > handled_ || enough(); }

    void work() {
        std::unique_lock guard(lock_);
        while (!ending_) {
            if (!orphan_ && clock::now() >= next_look_) adopt(guard);
            const bool is_asked = flush_until_ > handled_;
            auto own = store_.front();
            if (orphan_ && !(is_asked && own)) {
                forward(guard, orphan_);
            } else if (own) {
                wake_.wait_for(guard, options_.delay, [this] { return in_a_hurry(); });
                own = store_.front(); // room may have been made
                if (own && !ending_) forward(guard, own);
            } else {
                wake_.wait_until(guard, next_look_, [this, look = next_look_] {
                    return ending_ || store_.front() || next_look_ != look;
                });
            }
        }
    }

    // Takes over what a process has left behind.
    void adopt(std::unique_lock<std::mutex>& guard) {
        store_.finish_again();
        next_look_ = clock::now() + std::chrono::seconds(1);
        is_looking_ = true;
        guard.unlock();
        auto seen = detail::look_into<Files>(options_.folder);
        guard.lock();
        is_looking_ = false;
        others_bytes_ = others_of(seen.bytes);
        if (!seen.orphan) {
            ++recoveries_;
            handled_something_.notify_all();
            return;
        }
        next_look_ = {}; // there may be more
        orphan_ = std::make_shared<detail::spool_part<Files>>();
        orphan_->segment = std::move(seen.orphan);
        orphan_->is_own = false;
    }

    void forward(std::unique_lock<std::mutex>& guard, part_pointer part) {
        auto reader = part->segment->reader();
        guard.unlock();
        for (std::size_t i = 0; i < pace_.passed_over(); ++i) static_cast<void>(reader.next());
        trace_batch batch;
        bool is_foreign = false;
        std::string first; // content, to be put aside if it is the only one
        while (batch.size() < pace_.most_traces() && batch.span_count() < options_.max_batch_spans &&
               batch.bytes() < options_.max_batch_bytes) {
            const std::string_view content = reader.next();
            if (!content.data()) break;
            if (batch.empty()) first = content;
            if (trace_data* const trace = detail::spool_format::decode_record(content)) batch.push_back(trace);
            else is_foreign = true; // of another version of the library, or memory ran out
        }
        const std::size_t traces = batch.size();
        const std::size_t spans = batch.span_count();
        export_result outcome;
        if (!batch.empty()) outcome = detail::guarded_export(exporter_, batch);
        batch.clear();
        guard.lock();
        if (part->is_gone) return;
        part->is_kept = part->is_kept || is_foreign;
        if (reader.failed() && traces == 0) return could_not_read(guard, part);
        const bool is_end = reader.position() >= part->segment->size();
        if (!outcome.ok()) {
            last_error_.swap(outcome.error);
        }
        switch (pace_.judge(outcome, traces, is_end)) {
        case detail::spool_pace::verdict::at_once: break;
        case detail::spool_pace::verdict::wait: pause(guard, outcome.retry_after); break;
        case detail::spool_pace::verdict::move_on:
            move_on(part, reader, spans, account_.exported, status_.recovered_spans);
            break;
        case detail::spool_pace::verdict::put_aside:
            if (!store_.put_aside(first)) part->is_kept = true; // the whole of it instead, which takes no room
            status_.rejected_spans += spans;
            std::uint64_t of_others = 0; // counted as rejected already
            move_on(part, reader, spans, account_.failed, of_others);
            break;
        }
    }

    // All that the reader has passed is done with.
    void move_on(const part_pointer& part, const detail::spool_reader<Files>& reader, std::size_t spans,
                 std::uint64_t& of_own, std::uint64_t& of_others) {
        status_.damaged_places += reader.damage().places;
        status_.damaged_bytes += reader.damage().bytes;
        part->segment->set_forwarded(reader.position());
        if (part->is_own) {
            of_own += spans;
            handled_ += spans;
            part->spans -= std::min<std::uint64_t>(spans, part->spans);
        } else {
            of_others += spans;
        }
        if (part->segment->forwarded() >= part->segment->size()) finish(part);
        handled_something_.notify_all();
    }

    void finish(const part_pointer& part) {
        account_.failed += part->spans; // what damage has swallowed
        handled_ += std::exchange(part->spans, 0);
        if (!store_.finish(part)) last_error_ = store_.error();
        if (part == orphan_) orphan_.reset();
    }

    void could_not_read(std::unique_lock<std::mutex>& guard, const part_pointer& part) {
        store_.fail(part->segment->path());
        last_error_ = store_.error();
        if (++part->unreadable < 5) return pause(guard, {});
        part->is_kept = true;
        finish(part);
        handled_something_.notify_all();
    }

    // Until the next attempt; a flush does not wait for that, unless the receiver has asked for it.
    void pause(std::unique_lock<std::mutex>& guard, std::chrono::milliseconds asked) {
        asked = std::min<std::chrono::milliseconds>(asked, std::chrono::minutes(10));
        const auto chosen = std::max(asked, pace_.next_wait(detail::random_number()));
        ++pauses_;
        handled_something_.notify_all();
        wake_.wait_for(guard, chosen,
                       [&, flushes = flushes_] { return ending_ || (asked.count() == 0 && flushes_ != flushes); });
    }

    options options_;
    Exporter exporter_;
    mutable std::mutex lock_;
    std::condition_variable wake_;
    std::condition_variable handled_something_;
    std::condition_variable synced_;
    store_type store_;
    detail::spool_pace pace_{options_.first_wait, options_.longest_wait};
    part_pointer orphan_; // of another process, on its way
    detail::buffer record_;
    span_account account_;
    spool_status status_;
    std::string last_error_;
    std::uint64_t others_bytes_ = 0;
    std::uint64_t accepted_ = 0; // spans
    std::uint64_t handled_ = 0;
    std::uint64_t flush_until_ = 0;
    std::uint64_t flushes_ = 0;
    std::uint64_t pauses_ = 0;
    std::uint64_t recoveries_ = 0; // looks into the folder that found nothing left behind
    clock::time_point next_look_ = clock::now();
    bool is_looking_ = false;
    bool stopping_ = false;
    bool ending_ = false;
    std::thread worker_; // last: it uses all the others
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
