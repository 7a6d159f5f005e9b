// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/core/options_of.hpp>
#include <mlflow/trace/detail/forks.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// What `batch` does with a trace for which the queue has no room.
enum class when_full : std::uint8_t {
    drop_newest, ///< this one is dropped
    drop_oldest, ///< those that wait longest are dropped
    wait ///< the recording thread waits for room, for at most `batch_options::max_wait`; then as `drop_newest`
};

template <class Exporter>
struct batch_options {
    detail::options_of<Exporter> exporter{};
    std::size_t max_queue_bytes = 64U * 1024 * 1024; ///< of encoded spans waiting
    std::size_t max_queue_spans = 262'144;
    trace::when_full when_full = when_full::drop_newest;
    std::chrono::milliseconds max_wait{100};
    std::size_t max_batch_bytes = 4U * 1024 * 1024; ///< of encoded spans in one call of the inner exporter
    std::size_t max_batch_spans = 4'096;
    std::chrono::milliseconds delay{500}; ///< the longest time that a trace waits for company
    std::chrono::milliseconds shutdown_timeout{5'000};
};

/// What waits in a `batch`.
struct batch_status {
    std::size_t waiting_spans = 0; ///< in the queue, not those in the hands of the inner exporter
    std::size_t waiting_bytes = 0;
    std::uint64_t dropped_spans = 0; ///< for want of room
};

namespace detail {

// The queue and the thread of a `batch`, in one process.
template <class Exporter>
class batch_worker {
    using clock = std::chrono::steady_clock;

public:
    // `counted` is what was counted before, in the process that this one was forked from.
    batch_worker(batch_options<Exporter>&& options, const span_account& counted)
        : options_(std::move(options)), exporter_(std::move(options_.exporter)), account_(counted),
          thread_([this] { work(); }) {}
    batch_worker(const batch_worker&) = delete;
    batch_worker& operator=(const batch_worker&) = delete;
    ~batch_worker() {
        shutdown(clock::now() + options_.shutdown_timeout);
        {
            const std::lock_guard guard(lock_);
            abandoned_ = true;
        }
        wake_.notify_one();
        if constexpr (requires { exporter_.interrupt(); }) exporter_.interrupt();
        thread_.join();
    }

    [[nodiscard]] bool is_of_this_process() const noexcept { return forks_ == fork_count(); }

    void accept(trace_batch& traces) noexcept {
        bool wake = false;
        {
            std::unique_lock guard(lock_);
            // What the inner exporter records by the tracer that it serves would make it export for ever.
            if (stopping_ || is_own_thread()) {
                account_.dropped += traces.span_count();
                return;
            }
            if (!make_room(guard, traces)) return drop(traces.span_count());
            const bool was_idle = queue_.empty();
            const bool was_enough = enough();
            accepted_ += traces.span_count();
            queue_.append(std::move(traces));
            wake = was_idle || (!was_enough && enough());
        }
        if (wake) wake_.notify_one();
    }

    bool flush(clock::time_point deadline) {
        std::unique_lock guard(lock_);
        const std::uint64_t target = accepted_;
        if (done_up_to() >= target) return true;
        flush_until_ = target > flush_until_ ? target : flush_until_;
        wake_.notify_one();
        if (is_own_thread()) return false; // it would wait for itself
        return handled_something_.wait_until(guard, deadline, [&] { return done_up_to() >= target; });
    }

    bool shutdown(clock::time_point deadline) {
        {
            const std::lock_guard guard(lock_);
            stopping_ = true;
        }
        handled_something_.notify_all(); // nobody waits for room any more
        const bool complete = flush(deadline);
        if constexpr (deferring_exporter<Exporter>) return exporter_.shutdown(deadline) && complete;
        else return complete;
    }

    [[nodiscard]] span_account account() {
        const std::lock_guard guard(lock_);
        return account_now();
    }
    // Without the lock.
    [[nodiscard]] span_account account_now() const noexcept {
        span_account counted = account_;
        counted.queued = queue_.span_count() + sending_spans_;
        return counted;
    }
    [[nodiscard]] batch_status status() {
        const std::lock_guard guard(lock_);
        return {queue_.span_count(), queue_.bytes(), dropped_};
    }
    [[nodiscard]] std::string last_error() {
        if constexpr (requires { exporter_.last_error(); })
            if (std::string error = exporter_.last_error(); !error.empty()) return error; // of an attempt under way
        const std::lock_guard guard(lock_);
        if (dropped_ == 0 || !last_error_.empty()) return last_error_;
        return "batch: the queue was full, and " + std::to_string(dropped_) +
               " spans were dropped; raise max_queue_spans and max_queue_bytes, or look why they are delivered so "
               "slowly";
    }
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }

private:
    [[nodiscard]] bool enough() const noexcept {
        return queue_.bytes() >= options_.max_batch_bytes || queue_.span_count() >= options_.max_batch_spans;
    }
    [[nodiscard]] bool in_a_hurry() const noexcept {
        return abandoned_ || flush_until_ > taken_up_to() || waiting_ > 0 || enough();
    }
    // Spans are numbered as they are accepted. These have left the queue,
    [[nodiscard]] std::uint64_t taken_up_to() const noexcept { return accepted_ - queue_.span_count(); }
    // and these the inner exporter too, or were dropped.
    [[nodiscard]] std::uint64_t done_up_to() const noexcept { return sending_spans_ ? sending_from_ : taken_up_to(); }
    [[nodiscard]] bool is_own_thread() const noexcept { return std::this_thread::get_id() == thread_.get_id(); }
    [[nodiscard]] bool has_room(const trace_batch& traces) const noexcept {
        return queue_.span_count() + traces.span_count() <= options_.max_queue_spans &&
               queue_.bytes() + traces.bytes() <= options_.max_queue_bytes;
    }

    // False when the traces must be dropped.
    bool make_room(std::unique_lock<std::mutex>& guard, const trace_batch& traces) {
        if (has_room(traces)) return true;
        if (traces.span_count() > options_.max_queue_spans || traces.bytes() > options_.max_queue_bytes) return false;
        switch (options_.when_full) {
        case when_full::drop_newest: return false;
        case when_full::drop_oldest:
            while (!has_room(traces) && !queue_.empty()) {
                const trace_batch oldest(queue_.pop_front());
                drop(oldest.span_count());
            }
            return has_room(traces);
        case when_full::wait:
            ++waiting_;
            wake_.notify_one();
            handled_something_.wait_for(guard, options_.max_wait, [&] { return stopping_ || has_room(traces); });
            --waiting_;
            return !stopping_ && has_room(traces);
        }
        return false;
    }
    void drop(std::size_t spans) noexcept {
        account_.dropped += spans;
        dropped_ += spans;
    }

    void work() {
        std::unique_lock guard(lock_);
        for (;;) {
            wake_.wait(guard, [this] { return abandoned_ || !queue_.empty(); });
            if (!abandoned_) wake_.wait_for(guard, options_.delay, [this] { return in_a_hurry(); });
            if (abandoned_) break;
            sending_from_ = taken_up_to();
            trace_batch sending = take();
            sending_spans_ = sending.span_count();
            if (options_.when_full == when_full::wait) handled_something_.notify_all(); // there is room
            guard.unlock();
            export_result outcome = guarded_export(exporter_, sending);
            sending.clear();
            guard.lock();
            sending_spans_ = 0;
            account_.exported += outcome.exported_spans;
            account_.failed += outcome.failed_spans;
            if (!outcome.ok()) last_error_.swap(outcome.error);
            handled_something_.notify_all();
        }
        account_.dropped += queue_.span_count();
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

    batch_options<Exporter> options_;
    const std::uint32_t forks_ = fork_count();
    Exporter exporter_;
    std::mutex lock_;
    std::condition_variable wake_;
    std::condition_variable handled_something_;
    trace_batch queue_;
    span_account account_;
    std::string last_error_;
    std::uint64_t accepted_ = 0; // spans
    std::uint64_t dropped_ = 0;  // for want of room
    std::uint64_t flush_until_ = 0;
    std::uint64_t sending_from_ = 0; // what the inner exporter has now
    std::size_t sending_spans_ = 0;
    std::size_t waiting_ = 0; // threads that wait for room
    bool stopping_ = false;
    bool abandoned_ = false;
    std::thread thread_; // last: it uses all the others
};

} // namespace detail
} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
