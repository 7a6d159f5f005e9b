// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/copied_trace.hpp>
#include <mlflow/trace/core/export_progress.hpp>
#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/pipeline/diagnostics.hpp>
#include <mlflow/trace/pipeline/fault_finder.hpp>
#include <mlflow/trace/pipeline/latest_error.hpp>
#include <mlflow/trace/platform/threads.hpp>
#include <mlflow/trace/wire/recorded_trace.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A trace, or part of a trace, that the receiver rejected.
struct rejected_trace {
    /// The rejected spans, decoded.
    recorded_trace trace;
    /// Why they were rejected.
    mlflow::trace::error error;
};

/// Sends a batch again after temporary failures, until the receiver accepts it or `options::give_up_after` has
/// passed. It waits between attempts, and therefore belongs inside `batch`:
/// `batch<retry<mlflow_exporter<beast_transport>>>`.
///
/// The pauses grow by half each time, from `first_wait` to `longest_wait`. Each is shortened by a random amount of up
/// to half, so that many processes do not retry at the same time. A longer `Retry-After` takes precedence, up to 10
/// minutes.
///
/// Every failure that is not about the content is retried: credentials, permissions, certificates, files, proxies,
/// name resolution, the experiment. The table in http/outcome.hpp lists them. If the receiver does not respond in
/// time, the next requests are smaller.
///
/// A receiver may reject a whole batch because of one span. The batch is then split in halves, and these again, until
/// a single span is rejected alone. That span is quarantined: it counts as failed, and `take_rejected` returns it;
/// but not before the receiver has accepted a new trace since it rejected the span. If it is uncertain that the
/// content is at fault (outcome `divide`, also when the exporter throws or sets no flag), the batch is not split down
/// to single traces while the receiver accepts nothing. A span that is sent alone and gets no response in time nine
/// times, while others do, is quarantined too.
///
/// Thread-safety: `interrupt`, `last_error`, `progress` and `take_rejected` may be called from any thread, the others
/// by one thread at a time.
template <class Exporter>
class retry {
    static_assert(detail::has_whole_concepts<Exporter>());
    static_assert(
        exporter<Exporter>,
        "retry: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");

public:
    /// See `composes` in concepts.hpp.
    static constexpr bool composes =
        mlflow::trace::composes<Exporter> && !deferring_exporter<Exporter> && !retrying_exporter<Exporter>;
    static constexpr bool retries = true; ///< see `retrying_exporter`

    /// Options of `retry`.
    struct options {
        /// Options of the inner exporter.
        detail::options_of<Exporter> exporter{};
        /// The pause after the first failed attempt.
        std::chrono::milliseconds first_wait{200};
        /// The longest pause, unless the receiver asks for a longer one. Lower it to deliver sooner after an outage,
        /// raise it if many programs retry at one server.
        std::chrono::milliseconds longest_wait{30'000};
        /// How long one call of `export_traces` retries before it gives up. Lower it if new traces matter more than
        /// those that wait, for which the queue would have no room.
        std::chrono::milliseconds give_up_after{std::chrono::hours(24)};
        std::size_t attempts_before_halving = 3; ///< the attempt from which on the outcome `divide` splits the batch
        /// How many rejected traces are kept for `take_rejected`: the latest. Use 0 if the program does not call it.
        std::size_t keep_rejected = 100;
        /// The limit for their memory. A single trace above this limit is not kept, only logged.
        std::size_t keep_rejected_bytes = 16U * 1024 * 1024;
        trace::diagnostics diagnostics{}; ///< where waiting and quarantined spans are logged
    };

    /// Constructs the inner exporter. Does not compile if it defers or retries itself.
    retry() : retry(options{}) {}
    /// Constructs the inner exporter. Does not compile if it defers or retries itself.
    explicit retry(options chosen) : options_(std::move(chosen)), exporter_(std::move(options_.exporter)) {
        static_assert(!deferring_exporter<Exporter>,
                      "retry: must be inside the deferring exporter: batch<retry<...>>");
        static_assert(deferring_exporter<Exporter> || !retrying_exporter<Exporter>,
                      "retry: the inner exporter already retries; remove one of the two");
    }

    /// Exports the batch, retrying as described above. Returns when every span has been exported, quarantined or
    /// given up.
    export_result export_traces(trace_batch& batch) {
        const auto give_up_at = detail::deadline_after(options_.give_up_after);
        export_result total;
        error why_failed;
        for (std::size_t number = 1;; ++number) {
            auto round = finder_.deliver(std::move(batch), number, host_);
            total.exported_spans += round.exported;
            total.failed_spans += round.failed;
            if (round.error) total.error = std::move(round.error);
            if (round.why_failed) why_failed = std::move(round.why_failed);
            batch = std::move(round.again);
            note(round.failed, why_failed, batch.empty() ? nullptr : &total.error);
            if (batch.empty()) {
                total.error = std::move(why_failed); // others were temporary
                return total;
            }
            line_.say([&] {
                return "retry: " + std::to_string(batch.span_count()) +
                       " spans are waiting to be sent again: " + total.error.message();
            });
            const auto until = detail::deadline_after(finder_.next_wait(round));
            if (until > give_up_at || !wait_until(until)) {
                total.exported_spans += round.exported_in_part;
                total.failed_spans += batch.span_count() - round.exported_in_part;
                total.retryable = true;
                total.retry_after = round.retry_after;
                note(total.failed_spans, total.error, nullptr);
                return total;
            }
        }
    }

    /// Returns the rejected traces, oldest first, and forgets them. The latest ones are kept, within `keep_rejected`
    /// and `keep_rejected_bytes`.
    [[nodiscard]] std::vector<rejected_trace> take_rejected() {
        const detail::lock_guard guard(lock_);
        rejected_bytes_ = 0;
        return std::exchange(rejected_, {});
    }

    /// Stops retrying: the export in progress returns after its current attempt, and later exports make one attempt.
    void interrupt() noexcept {
        {
            const detail::lock_guard guard(lock_);
            interrupted_ = true;
        }
        wake_.notify_all();
        if constexpr (interruptible_exporter<Exporter>) exporter_.interrupt();
    }

    /// Sets a function that returns copies of other waiting traces. They are sent as control requests, which show
    /// whether the receiver rejects only one span or everything. `batch` calls this before the first export.
    void take_others_from(void* from, detail::other_trace* next) noexcept { others_ = {from, next}; }

    /// Why spans are waiting; if none are, why spans were last quarantined, rejected or given up. No error
    /// otherwise: that of an outage is cleared when it ends.
    [[nodiscard]] error last_error() const {
        const detail::lock_guard guard(lock_);
        return error_.get();
    }
    /// The progress of the inner exporter.
    [[nodiscard]] export_progress progress() const { return detail::progress_of(exporter_); }
    /// The page of the trace, if the inner exporter is a `linking_exporter`; empty otherwise.
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>) return exporter_.trace_url(id);
        else return {};
    }

    /// The inner exporter.
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }

private:
    struct finder_host {
        retry& owner;

        bool is_ending() noexcept { return owner.is_interrupted(); }
        trace_data* another() noexcept {
            return owner.others_.next ? owner.others_.next(owner.others_.from, owner.asked_for_++) : nullptr;
        }
        void put_aside(trace_batch& batch, const error& why) noexcept { owner.put_aside(batch, why); }
    };

    // Updates `last_error` after each round. Quarantined spans have already been noted.
    void note(std::size_t failed, const error& why_failed, const error* why_waiting) noexcept {
        const bool is_rejected = failed > std::exchange(put_aside_spans_, 0);
        const detail::lock_guard guard(lock_);
        if (is_rejected) error_.lost(why_failed);
        if (why_waiting) error_.wrong(*why_waiting);
        else error_.mended();
    }

    void put_aside(trace_batch& batch, const error& why) noexcept {
        put_aside_spans_ += batch.span_count();
        const auto keep = [&] {
            for (const trace_data& trace : batch) {
                rejected_trace rejected{decode(trace), why};
                const error news = detail::quarantined(trace.id, why);
                line_.say([&] { return "retry: " + news.message(); });
                const detail::lock_guard guard(lock_);
                error_.lost(news);
                keep_rejected(std::move(rejected));
            }
        };
        detail::guarded(keep, [] {}); // they are counted even if memory runs out here
    }

    void keep_rejected(rejected_trace&& rejected) {
        const std::size_t bytes = memory_of(rejected);
        if (options_.keep_rejected == 0 || bytes > options_.keep_rejected_bytes) return;
        std::size_t surplus = 0; // the oldest ones, to be forgotten
        std::size_t kept_bytes = rejected_bytes_;
        for (std::size_t left = rejected_.size();
             left >= options_.keep_rejected || kept_bytes > options_.keep_rejected_bytes - bytes; --left)
            kept_bytes -= memory_of(rejected_[surplus++]);
        rejected_.erase(rejected_.begin(), rejected_.begin() + static_cast<std::ptrdiff_t>(surplus));
        rejected_bytes_ = kept_bytes;
        rejected_.push_back(std::move(rejected));
        rejected_bytes_ += bytes;
    }
    static std::size_t memory_of(const rejected_trace& rejected) {
        return sizeof rejected + rejected.error.message().size() + detail::content_memory(rejected.trace);
    }

    bool is_interrupted() {
        const detail::lock_guard guard(lock_);
        return interrupted_;
    }

    bool wait_until(std::chrono::steady_clock::time_point until) {
        detail::unique_lock guard(lock_);
        return !wake_.wait_until(guard, until, [this] { return interrupted_; });
    }

    options options_;
    Exporter exporter_;
    detail::fault_finder<Exporter> finder_{exporter_, options_.first_wait, options_.longest_wait,
                                           options_.attempts_before_halving};
    finder_host host_{*this};
    detail::other_traces others_;
    std::size_t asked_for_ = 0; // of the other traces
    mutable detail::machine::mutex lock_;
    detail::condition wake_;
    detail::latest_error error_;
    std::size_t put_aside_spans_ = 0; // since the latest `note`
    std::vector<rejected_trace> rejected_;
    std::size_t rejected_bytes_ = 0;
    detail::diagnostic_line line_{options_.diagnostics};
    bool interrupted_ = false;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
