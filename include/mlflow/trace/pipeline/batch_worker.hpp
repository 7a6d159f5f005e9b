// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/copied_trace.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/core/packed.hpp>
#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/pipeline/batch_drops.hpp>
#include <mlflow/trace/pipeline/batch_options.hpp>
#include <mlflow/trace/pipeline/batch_queue.hpp>
#include <mlflow/trace/pipeline/batch_senders.hpp>
#include <mlflow/trace/pipeline/diagnostics.hpp>
#include <mlflow/trace/pipeline/flushes.hpp>
#include <mlflow/trace/pipeline/latest_error.hpp>
#include <mlflow/trace/platform/threads.hpp>
#include <mlflow/trace/platform/worker_threads.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The queue of a `batch` in one process, with its threads, each of which has its own exporter.
template <class Exporter, std::size_t Senders>
class batch_worker {
    using clock = std::chrono::steady_clock;

public:
    // `counted` is the account of the process that this one was forked from.
    batch_worker(batch_options<Exporter>&& options, const span_account& counted)
        : options_(std::move(options)), senders_(options_.exporter), account_(counted) {
        senders_.take_others_from(this, &another);
        threads_.start([this](std::size_t number) {
            if (number < Senders) work(senders_[number]);
            else keep_small();
        });
    }
    batch_worker(const batch_worker&) = delete;
    batch_worker& operator=(const batch_worker&) = delete;
    // A final flush, unless there was one. Then ends the threads and the worker even if an exporter does not return.
    void end() noexcept {
        if (!is_stopping()) shutdown(deadline_after(options_.shutdown_timeout), false);
        std::size_t waiting = 0;
        {
            const lock_guard guard(lock_);
            abandoned_ = true;
            waiting = account_now().queued;
        }
        if (waiting != 0)
            line_.say_at_once([&] {
                return "batch: " + std::to_string(waiting) +
                       " spans were not delivered before the deadline: " + why_waiting(latest_error_now());
            });
        wake_.notify_all();
        pack_.notify_all();
        senders_.interrupt();
        threads_.end();
    }

    [[nodiscard]] bool is_of_this_process() const noexcept { return process_ == machine::process(); }

    void accept(trace_batch& traces) noexcept {
        // Packed first, so that a small trace in large blocks is not dropped for their size, and does not displace
        // others.
        if (traces.memory() > packed_from_) [[unlikely]]
            pack(traces);
        unique_lock guard(lock_);
        // An exporter that records with the tracer it serves would otherwise export endlessly.
        if (stopping_ || threads_.is_own_thread()) return drop(traces.span_count(), drops_.late);
        bool wake = false;
        bool wake_packer = false;
        const std::uint64_t dropped_before = drops_.for_want_of_room();
        if (make_room(guard, traces)) {
            const bool was_idle = queue_.empty();
            const bool was_enough = enough();
            accepted_ += traces.span_count();
            queue_.append(std::move(traces));
            wake = was_idle || (!was_enough && enough());
            wake_packer = queue_.recorded_memory() > packed_from_ && !std::exchange(is_to_pack_, true);
        } else {
            wake_packer = makes_pools_large(traces);
            std::uint64_t& want_of_room = can_ever_fit(traces) ? drops_.full : drops_.too_large;
            drop(traces.span_count(), stopping_ ? drops_.late : want_of_room);
        }
        const batch_drops so_far = drops_;
        guard.unlock();
        if (wake) wake_.notify_one();
        if (wake_packer) pack_.notify_one();
        if (so_far.for_want_of_room() != dropped_before) line_.say([&] { return "batch: " + so_far.reason(); });
    }

    bool flush(clock::time_point deadline) {
        const bool complete = flush_queue(deadline);
        return senders_.flush(deadline) && complete;
    }
    // `tells`: log what is still queued at the deadline.
    bool flush_queue(clock::time_point deadline, bool tells = true) {
        unique_lock guard(lock_);
        const std::uint64_t target = accepted_;
        if (done_up_to() >= target) return true;
        flushes_.ask(target, account_.exported);
        wake_.notify_one();
        if (threads_.is_own_thread()) return false; // this thread would wait for itself
        if (handled_something_.wait_until(guard, deadline, [&] { return done_up_to() >= target; })) return true;
        flushes_.give_up(target);
        guard.unlock();
        if (tells) flush_line_.say([this] { return what_waits().message(); });
        return false;
    }

    bool shutdown(clock::time_point deadline, bool tells = true) {
        {
            const lock_guard guard(lock_);
            stopping_ = true;
        }
        handled_something_.notify_all(); // wakes the threads that wait for room
        const bool complete = flush_queue(deadline, tells);
        return senders_.shutdown(deadline) && complete;
    }

    [[nodiscard]] span_account account() {
        const span_account inner = senders_.account();
        const lock_guard guard(lock_);
        span_account counted = account_now();
        // The inner exporter counts what it got from this one.
        if constexpr (deferring_exporter<Exporter>) counted.exported = 0;
        counted.exported += inner.exported;
        counted.failed += inner.failed;
        counted.dropped += inner.dropped;
        counted.queued += inner.queued;
        return counted;
    }
    // Does not take the lock.
    [[nodiscard]] span_account account_now() const noexcept {
        span_account counted = account_;
        counted.queued = queue_.span_count() + senders_.spans();
        return counted;
    }
    [[nodiscard]] batch_status status() {
        const std::uint64_t steps = senders_.progress().steps;
        const lock_guard guard(lock_);
        return {.waiting_spans = queue_.span_count(),
                .waiting_bytes = queue_.bytes(),
                .held_bytes = held_bytes(),
                .oldest_waits = oldest_waits(),
                .dropped_spans = drops_.for_want_of_room(),
                .progress = account_.exported + steps};
    }
    [[nodiscard]] error last_error() {
        if (has_given_up()) return what_waits();
        if (error latest = latest_error_now()) return latest;
        const lock_guard guard(lock_);
        return drops_.any() ? error(error_kind::dropped, "batch", drops_.reason()) : error();
    }
    [[nodiscard]] Exporter& exporter(std::size_t number = 0) noexcept { return senders_[number].exporter; }

private:
    [[nodiscard]] bool has_given_up() {
        const lock_guard guard(lock_);
        return flushes_.has_given_up(done_up_to());
    }

    [[nodiscard]] bool is_stopping() noexcept {
        const lock_guard guard(lock_);
        return stopping_;
    }
    [[nodiscard]] bool enough() const noexcept {
        return queue_.bytes() >= options_.max_batch_bytes || queue_.span_count() >= options_.max_batch_spans;
    }
    [[nodiscard]] bool in_a_hurry() const noexcept {
        return abandoned_ || flushes_.is_asked(taken_up_to()) || waiting_ > 0 || enough();
    }
    // Spans are numbered in order of acceptance. Spans up to this number have left the queue.
    [[nodiscard]] std::uint64_t taken_up_to() const noexcept { return accepted_ - queue_.spans_not_taken(); }
    // Spans up to this number were also exported, or dropped.
    [[nodiscard]] std::uint64_t done_up_to() const noexcept { return senders_.done_of(taken_up_to()); }
    [[nodiscard]] std::chrono::milliseconds oldest_waits() const noexcept {
        using namespace std::chrono;
        const trace_data* const oldest = queue_.front();
        if (!oldest || !oldest->root) return milliseconds(0);
        const nanoseconds ended(oldest->start_unix_nano + oldest->duration_nano);
        const auto waits = duration_cast<milliseconds>(system_clock::now().time_since_epoch() - ended);
        return waits.count() > 0 ? waits : milliseconds(0);
    }
    [[nodiscard]] std::size_t held_bytes() const noexcept { return queue_.memory() + senders_.memory(); }
    [[nodiscard]] bool has_room(const trace_batch& traces) const noexcept {
        return queue_.span_count() + traces.span_count() <= options_.max_queue_spans &&
               held_bytes() + in_pools_ + traces.memory() <= options_.max_queue_bytes;
    }

    [[nodiscard]] bool can_ever_fit(const trace_batch& traces) const noexcept {
        return traces.span_count() <= options_.max_queue_spans && traces.memory() <= options_.max_queue_bytes;
    }

    void drop(std::size_t spans, std::uint64_t& reason) noexcept {
        account_.dropped += spans;
        reason += spans;
    }
    // Returns false if the traces must be dropped.
    bool make_room(unique_lock<machine::mutex>& guard, const trace_batch& traces) {
        if (has_room(traces)) return true;
        if (!can_ever_fit(traces)) return false;
        switch (options_.when_full) {
        case when_full::drop_newest: return false;
        case when_full::drop_oldest:
            while (!has_room(traces)) {
                trace_data* const first = queue_.pop_to_drop();
                if (!first) break;
                const trace_batch oldest(first);
                drop(oldest.span_count(), drops_.full);
            }
            return has_room(traces);
        case when_full::wait:
            ++waiting_;
            wake_.notify_one();
            handled_something_.wait_until(guard, deadline_after(options_.max_wait),
                                          [&] { return stopping_ || has_room(traces); });
            --waiting_;
            return !stopping_ && has_room(traces);
        }
        return false;
    }

    [[nodiscard]] error latest_error_now() {
        if (error of_sender = senders_.last_error()) return of_sender;
        const lock_guard guard(lock_);
        return error_.get();
    }
    // For use after a flush has reached its deadline.
    [[nodiscard]] error what_waits() {
        std::uint64_t spans = 0;
        {
            const lock_guard guard(lock_);
            spans = account_now().queued;
        }
        const error latest = latest_error_now();
        return gave_up(latest, "batch: " + std::to_string(spans) + " spans are still queued: " + why_waiting(latest));
    }
    // Why spans are queued; `latest` is the latest error.
    [[nodiscard]] std::string why_waiting(const error& latest) {
        std::string why = senders_.progress().waits_for;
        const lock_guard guard(lock_);
        const std::uint64_t delivered = flushes_.delivered(account_.exported);
        if (delivered != 0)
            why = "the receiver is slow: it accepted " + std::to_string(delivered) + " spans during the flush" +
                  (why.empty() ? "" : ", " + why) + "; use a longer deadline";
        return waiting_reason(std::move(why), latest, "the exporter has not returned yet");
    }

    void work(batch_sender<Exporter>& own) {
        unique_lock guard(lock_);
        for (;;) {
            wake_.wait(guard, [this] { return abandoned_ || queue_.front(); });
            wake_.wait_until(guard, deadline_after(options_.delay), [this] { return in_a_hurry(); });
            if (abandoned_) break;
            own.from = taken_up_to();
            trace_batch sending = queue_.take(at_once_);
            if (sending.empty()) continue; // another sender has taken the traces
            own.spans = sending.span_count();
            own.memory = sending.memory();
            if (!queue_.empty()) wake_.notify_one();
            if (options_.when_full == when_full::wait) handled_something_.notify_all(); // the queue has room again
            guard.unlock();
            if (sending.memory() > packed_from_) {
                pack(sending);
                guard.lock();
                own.memory = sending.memory();
                guard.unlock();
            }
            export_result outcome = guarded_export(own.exporter, sending);
            sending.clear();
            for_each_pool([](auto& each) { each.look(); });
            if (outcome.error) line_.say([&] { return "batch: " + describe(outcome); });
            guard.lock();
            own.spans = own.memory = 0;
            account_.exported += outcome.exported_spans;
            account_.failed += outcome.failed_spans;
            note(outcome);
            handled_something_.notify_all();
            if (queue_.empty()) rest(guard);
        }
        give_up();
    }
    void note(export_result& outcome) noexcept { // a success may come with a warning
        outcome.ok() ? error_.wrong(std::move(outcome.error)) : error_.lost_at_last(std::move(outcome.error));
    }
    void give_up() noexcept { account_.dropped += queue_.clear(); }

    // Frees pooled memory that a second without work does not need. The first look still sees what the work before it
    // needed.
    void rest(unique_lock<machine::mutex>& guard) {
        constexpr int most_seconds = 10; // other batches may look at the pools in between
        for (int seconds = 0, looks = 0; looks < 2 && seconds < most_seconds; ++seconds) {
            const auto has_work = [this] { return abandoned_ || queue_.front(); };
            if (wake_.wait_until(guard, deadline_after(std::chrono::seconds(1)), has_work)) return;
            guard.unlock();
            bool is_looked_at = true;
            for_each_pool([&](auto& each) { is_looked_at = each.free_surplus() && is_looked_at; });
            looks += is_looked_at ? 1 : 0;
            guard.lock();
        }
    }
    // Returns what is left in the pools.
    std::size_t shrink_pools() const noexcept {
        constexpr std::size_t least_in_pools = 256U * 1024;
        std::size_t left = 0;
        for_each_pool([&](auto& each) {
            each.shrink_to(packed_from_ / 4 > least_in_pools ? packed_from_ / 4 : least_in_pools);
            left += each.kept_bytes();
        });
        return left < packed_from_ ? left : packed_from_; // the pools are shared with other batches
    }

    // Packs queued traces once they take more than `packed_from_`. Has its own thread, since the senders may be
    // blocked in their exporters.
    void keep_small() {
        unique_lock guard(lock_);
        for (;;) {
            pack_.wait(guard, [this] { return abandoned_ || is_to_pack_; });
            while (!abandoned_ && queue_.recorded_memory() > packed_from_ / 2) {
                trace_batch some = queue_.take_recorded(packed_at_once_);
                guard.unlock();
                pack(some);
                const std::size_t in_pools = shrink_pools();
                guard.lock();
                in_pools_ = in_pools;
                queue_.put_back(std::move(some));
                wake_.notify_all();
                if (options_.when_full == when_full::wait) handled_something_.notify_all();
            }
            if (abandoned_) break;
            is_to_pack_ = false;
            dropped_memory_ = 0;
            guard.unlock();
            const std::size_t in_pools = shrink_pools();
            guard.lock();
            in_pools_ = in_pools;
            handled_something_.notify_all(); // there may be room
        }
        give_up();
    }
    // Dropped traces go back to the pools, which must not grow into a second queue.
    [[nodiscard]] bool makes_pools_large(const trace_batch& dropped) noexcept {
        dropped_memory_ += dropped.memory();
        return dropped_memory_ > packed_from_ / 4 && !std::exchange(is_to_pack_, true);
    }
    static std::string describe(const export_result& outcome) {
        const std::string why = outcome.error.message();
        return outcome.ok() ? why : std::to_string(outcome.failed_spans) + " spans were not delivered: " + why;
    }

    // A copy of a queued trace. An exporter sends it to find out whether the receiver accepts other traces.
    static trace_data* another(void* worker, std::size_t number) noexcept {
        batch_worker& own = *static_cast<batch_worker*>(worker);
        const lock_guard guard(own.lock_);
        const trace_data* const waiting = own.queue_.any(number);
        return waiting ? copy_of(*waiting) : nullptr;
    }

    [[no_unique_address]] const pools_at_the_end at_the_end_{};
    batch_options<Exporter> options_;
    const std::uint32_t process_ = machine::process();
    batch_senders<Exporter, Senders> senders_;
    machine::mutex lock_;
    condition wake_;
    condition handled_something_;
    batch_queue queue_;
    // At most half of the queue's memory is being exported, because traces cannot be dropped from there to make room.
    const batch_queue::amount at_once_{options_.max_batch_spans, options_.max_batch_bytes,
                                       options_.max_queue_bytes / 2 / Senders};
    const std::size_t packed_from_ = options_.max_queue_bytes / 8; // bytes queued as recorded
    const std::size_t packed_at_once_ = packed_from_ / 8 < (1U << 20U) ? packed_from_ / 8 : (1U << 20U);
    condition pack_;
    std::size_t in_pools_ = 0;       // at the latest look, while memory was short
    std::size_t dropped_memory_ = 0; // since then
    bool is_to_pack_ = false;
    span_account account_;
    latest_error error_;
    diagnostic_line line_{options_.diagnostics};
    diagnostic_line flush_line_{options_.diagnostics};
    std::uint64_t accepted_ = 0;
    batch_drops drops_;
    flushes flushes_;
    std::size_t waiting_ = 0; // threads that wait for room
    bool stopping_ = false;
    bool abandoned_ = false;
    worker_threads<batch_worker, Senders + 1> threads_{*this}; // last, because the threads use all other members
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
