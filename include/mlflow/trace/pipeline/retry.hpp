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

/// A trace, or a part of one, that a receiver did not take, and why.
struct rejected_trace {
    recorded_trace trace;
    std::string error;
};

/// Exports a batch again when the receiver was not there or was busy, until it succeeds or `options::give_up_after`
/// has passed. Waits between the attempts, so it belongs inside `batch`:
/// `batch<retry<mlflow_exporter<beast_transport>>>`.
///
/// The waits grow by half each time, from `first_wait` to `longest_wait`, each shortened by up to a half at random so
/// that many processes do not come back at once; what the receiver asks for (`Retry-After`) is waited for, up to 10
/// minutes. What is not about the content (credentials, rights, certificates, files, proxies, names, the experiment)
/// makes traces wait too, until someone has mended that; the table of http/outcome.hpp says what is. A receiver that
/// does not answer in time is sent less at once.
///
/// One span at fault is a reason for the receiver to refuse a whole batch: the batch is then sent in halves, these in
/// halves, and only the span that fails alone is put aside. It counts as failed, and `take_rejected` tells what it
/// was. Where the content only may be at fault, or the exporter throws or does not say, nothing is put aside while
/// nothing at all is taken, and the receiver is not asked for each trace. A span that gets no answer in time, alone
/// and five times, while others do, is put aside too.
///
/// Thread-safety: `interrupt`, `last_error` and `take_rejected` from any thread, the rest by one thread at a time.
template <class Exporter>
class retry {
    static_assert(
        exporter<Exporter>,
        "retry: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    static_assert(detail::has_whole_concepts<Exporter>());

public:
    static constexpr bool composes =
        mlflow::trace::composes<Exporter> && !deferring_exporter<Exporter> && !retrying_exporter<Exporter>;
    static constexpr bool retries = true;

    struct options {
        detail::options_of<Exporter> exporter{};
        std::chrono::milliseconds first_wait{200};
        std::chrono::milliseconds longest_wait{30'000};
        std::chrono::milliseconds give_up_after{std::chrono::hours(24)};
        std::size_t attempts_before_halving = 3; ///< where the content may be at fault, and another attempt may help
        std::size_t keep_rejected = 100;         ///< for `take_rejected`, the latest
        /// Of the memory that these take. One that takes more alone is not kept, only told of.
        std::size_t keep_rejected_bytes = 16U * 1024 * 1024;
        trace::diagnostics diagnostics{}; ///< told while traces wait, and when one is put aside
    };

    retry() : retry(options{}) {}
    explicit retry(options chosen) : options_(std::move(chosen)), exporter_(std::move(options_.exporter)) {
        static_assert(!deferring_exporter<Exporter>,
                      "retry: put it inside the exporter that defers, batch<retry<...>>");
        static_assert(deferring_exporter<Exporter> || !retrying_exporter<Exporter>,
                      "retry: the inner exporter tries again already; leave one of the two out");
    }

    export_result export_traces(trace_batch& batch) {
        const auto give_up_at = detail::deadline_after(options_.give_up_after);
        export_result total;
        for (std::size_t number = 1;; ++number) {
            auto round = finder_.deliver(std::move(batch), number, host_);
            total.exported_spans += round.exported;
            total.failed_spans += round.failed;
            if (!round.error.empty()) total.error.swap(round.error);
            batch = std::move(round.again);
            note(total.error, round.failed, !batch.empty());
            if (batch.empty()) {
                if (total.ok()) total.error.clear(); // of what was mended
                return total;
            }
            line_.say([&] { return "retry: " + std::to_string(batch.span_count()) + " spans wait: " + total.error; });
            const auto until = detail::deadline_after(finder_.next_wait(round));
            if (until > give_up_at || !wait_until(until)) {
                total.exported_spans += round.exported_in_part;
                total.failed_spans += batch.span_count() - round.exported_in_part;
                total.retryable = true;
                total.retry_after = round.retry_after;
                note(total.error, total.failed_spans, false);
                return total;
            }
        }
    }

    /// What the receiver did not take, the oldest first, and forgets it. At most `keep_rejected` and
    /// `keep_rejected_bytes`, the latest.
    [[nodiscard]] std::vector<rejected_trace> take_rejected() {
        const detail::lock_guard guard(lock_);
        rejected_bytes_ = 0;
        return std::exchange(rejected_, {});
    }

    /// Ends the waiting: the export under way returns after its current attempt, and later ones are not repeated.
    void interrupt() noexcept {
        {
            const detail::lock_guard guard(lock_);
            interrupted_ = true;
        }
        wake_.notify_all();
        if constexpr (interruptible_exporter<Exporter>) exporter_.interrupt();
    }

    /// Where copies of other traces come from that wait: whether the receiver takes one of those tells whether the
    /// one that it refuses is at fault. `batch` says so, before the first export.
    void take_others_from(void* from, detail::other_trace* next) noexcept { others_ = {from, next}; }

    /// Why spans wait; where none do, why spans were last lost: put aside, rejected or given up. Empty where neither
    /// is so: what was mended is forgotten.
    [[nodiscard]] std::string last_error() const {
        const detail::lock_guard guard(lock_);
        return error_.text();
    }
    [[nodiscard]] export_progress progress() const { return detail::progress_of(exporter_); }
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
        void put_aside(trace_batch& batch, const std::string& error) noexcept { owner.put_aside(batch, error); }
    };

    // After a round, or the last one. What was put aside has been told.
    void note(const std::string& error, std::size_t failed, bool waits) noexcept {
        const bool is_rejected = failed > std::exchange(put_aside_spans_, 0);
        const auto copy = [&] {
            std::string why = error;
            const detail::lock_guard guard(lock_);
            if (waits) error_.wrong(why);
            else if (is_rejected) error_.lost(why);
        };
        detail::guarded(copy, [] {}); // for want of memory nothing is given up
        const detail::lock_guard guard(lock_);
        if (!waits) error_.mended();
    }

    void put_aside(trace_batch& batch, const std::string& error) noexcept {
        put_aside_spans_ += batch.span_count();
        const auto keep = [&] {
            for (const trace_data& trace : batch) {
                rejected_trace rejected{decode(trace), error};
                std::string news = std::string(trace.id.mlflow_id().view()) + " was put aside: " + error;
                line_.say([&] { return "retry: " + news; });
                const detail::lock_guard guard(lock_);
                error_.lost(news);
                keep_rejected(std::move(rejected));
            }
        };
        detail::guarded(keep, [] {}); // counted all the same
    }

    void keep_rejected(rejected_trace&& rejected) {
        const std::size_t bytes = memory_of(rejected);
        if (options_.keep_rejected == 0 || bytes > options_.keep_rejected_bytes) return;
        std::size_t surplus = 0; // the oldest
        for (std::size_t left = rejected_.size();
             left >= options_.keep_rejected || rejected_bytes_ > options_.keep_rejected_bytes - bytes; --left)
            rejected_bytes_ -= memory_of(rejected_[surplus++]);
        rejected_.erase(rejected_.begin(), rejected_.begin() + static_cast<std::ptrdiff_t>(surplus));
        rejected_.push_back(std::move(rejected));
        rejected_bytes_ += bytes;
    }
    static std::size_t memory_of(const rejected_trace& rejected) noexcept {
        return sizeof rejected + rejected.error.capacity() + detail::content_memory(rejected.trace);
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
    std::size_t asked_for_ = 0; // of the others
    mutable detail::machine::mutex lock_;
    detail::condition wake_;
    detail::latest_error error_;
    std::size_t put_aside_spans_ = 0; // since the latest note
    std::vector<rejected_trace> rejected_;
    std::size_t rejected_bytes_ = 0;
    detail::diagnostic_line line_{options_.diagnostics};
    bool interrupted_ = false;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
