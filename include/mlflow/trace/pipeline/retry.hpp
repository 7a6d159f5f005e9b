// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/core/half_trace.hpp>
#include <mlflow/trace/core/options_of.hpp>
#include <mlflow/trace/core/outcome.hpp>
#include <mlflow/trace/core/packed.hpp>
#include <mlflow/trace/core/recorded_trace.hpp>
#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/pipeline/backoff.hpp>
#include <mlflow/trace/pipeline/diagnostics.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

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
/// makes traces wait too, until someone has mended that; the table of core/outcome.hpp says what is. A receiver that
/// does not answer in time is sent less at once.
///
/// One span at fault is a reason for the receiver to refuse a whole batch: the batch is then sent in halves, these in
/// halves, and only the span that fails alone is put aside. It counts as failed, and `take_rejected` tells what it
/// was. Where the content only may be at fault, or the exporter throws or does not say, nothing is put aside while
/// nothing at all is taken, and the receiver is not asked for each trace.
///
/// Thread-safety: `interrupt`, `last_error` and `take_rejected` from any thread, the rest by one thread at a time.
template <class Exporter>
class retry {
    static_assert(
        exporter<Exporter>,
        "retry: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");

public:
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
    explicit retry(options chosen) : options_(std::move(chosen)), exporter_(std::move(options_.exporter)) {}

    export_result export_traces(trace_batch& batch) {
        const auto give_up_at = detail::deadline_after(options_.give_up_after);
        export_result total;
        detail::backoff waits(options_.first_wait, options_.longest_wait);
        for (std::size_t attempts = 1;; ++attempts) {
            round now{.may_halve = attempts >= options_.attempts_before_halving};
            while (!batch.empty()) {
                trace_batch part = take_part(batch);
                attempt(part, now);
            }
            settle(now);
            total.exported_spans += now.exported;
            total.failed_spans += now.failed;
            if (!now.error.empty()) total.error.swap(now.error);
            batch = std::move(now.again);
            if (batch.empty()) {
                if (total.ok()) total.error.clear(); // of what was mended
                return total;
            }
            const auto tell = [&] {
                const std::lock_guard guard(lock_);
                last_error_ = total.error;
            };
            detail::guarded(tell, [] {}); // for want of memory nothing is given up
            line_.say([&] { return "retry: " + std::to_string(batch.span_count()) + " spans wait: " + total.error; });
            const auto until = detail::deadline_after(waits.next(now.retry_after));
            if (until > give_up_at || !wait_until(until)) {
                total.exported_spans += now.exported_in_part;
                total.failed_spans += batch.span_count() - now.exported_in_part;
                total.retryable = true;
                total.retry_after = now.retry_after;
                return total;
            }
        }
    }

    /// What the receiver did not take, the oldest first, and forgets it. At most `keep_rejected` and
    /// `keep_rejected_bytes`, the latest.
    [[nodiscard]] std::vector<rejected_trace> take_rejected() {
        const std::lock_guard guard(lock_);
        rejected_bytes_ = 0;
        return std::exchange(rejected_, {});
    }

    /// Ends the waiting: the export under way returns after its current attempt, and later ones are not repeated.
    void interrupt() noexcept {
        {
            const std::lock_guard guard(lock_);
            interrupted_ = true;
        }
        wake_.notify_all();
        if constexpr (requires { exporter_.interrupt(); }) exporter_.interrupt();
    }

    /// Why the last attempt failed; empty when none did.
    [[nodiscard]] std::string last_error() const {
        const std::lock_guard guard(lock_);
        return last_error_;
    }
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>) return exporter_.trace_url(id);
        else return {};
    }

    /// The inner exporter.
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }

private:
    // What came of one attempt.
    struct round {
        bool may_halve = false; // also where another attempt may help
        bool ends = false;
        bool is_over = false; // the receiver is not there, or busy, or takes nothing
        int refusals = 0;     // since something was taken
        std::size_t exported = 0;
        std::size_t failed = 0;
        trace_batch again{};
        std::size_t exported_in_part = 0; // spans in `again` that have arrived already
        trace_batch suspects{};           // each alone, and perhaps at fault
        std::string error{};
        std::chrono::milliseconds retry_after{0};
    };

    static constexpr std::size_t unlimited = ~std::size_t{0} / 2;
    static constexpr std::size_t least_spans = 32;
    // Enough to find, by halves of the largest batch, one trace that is taken behind several that are not.
    static constexpr int most_refusals = 32;

    void attempt(trace_batch& batch, round& now) {
        if (now.is_over || (now.refusals >= most_refusals && !still_takes(now)) || (now.ends && is_interrupted())) {
            now.again.append(std::move(batch));
            return;
        }
        now.ends = true; // by an interruption, once something was tried
        const std::size_t spans = batch.span_count();
        export_result outcome = detail::guarded_export(exporter_, batch);
        const trace::outcome what = outcome_of(outcome);
        if (what == trace::outcome::delivered) {
            now.exported += outcome.exported_spans;
            now.failed += outcome.failed_spans;
            if (!outcome.ok()) now.error = std::move(outcome.error);
            now.refusals = 0;
            if (most_spans_ < unlimited) most_spans_ += most_spans_ / 8;
            if (!batch.empty()) remember(trace_batch(batch.pop_front()));
            return;
        }
        const bool is_at_fault = what == trace::outcome::put_aside;
        if (!is_at_fault) ++now.refusals;
        now.error = std::move(outcome.error);
        now.is_over = what == trace::outcome::wait;
        if (outcome.too_slow) most_spans_ = spans / 2 > least_spans ? spans / 2 : least_spans;
        const bool halve = is_at_fault || (what == trace::outcome::divide && now.may_halve);
        const std::size_t left = batch.span_count();
        trace_batch first = halve ? take_half(batch) : trace_batch();
        if (first.empty() && is_at_fault) {
            now.exported += outcome.exported_spans;
            now.failed += outcome.failed_spans;
            put_aside(batch, now.error);
            return;
        }
        // What the exporter has moved out of the batch does not come again.
        const std::size_t moved = spans - left;
        const std::size_t kept = moved < outcome.exported_spans ? moved : outcome.exported_spans;
        now.exported += kept;
        now.failed += moved - kept;
        if (!first.empty()) {
            attempt(first, now);
            attempt(batch, now);
            return;
        }
        if (outcome.retry_after > now.retry_after) now.retry_after = outcome.retry_after;
        if (!halve) now.exported_in_part += outcome.exported_spans - kept;
        (halve ? now.suspects : now.again).append(std::move(batch));
    }

    // It stays, so that a large one gives way to a smaller one.
    void remember(trace_batch&& taken) noexcept {
        constexpr std::size_t small = 64 * 1024;
        if (!taken_.empty() && taken.memory() > small && taken.memory() > taken_.memory()) return;
        trace_data* const alone = taken.begin()->block ? detail::packed(*taken.begin()) : nullptr;
        taken_ = alone ? trace_batch(alone) : std::move(taken);
    }

    // As much as the receiver answers to in time, of a large trace some spans.
    trace_batch take_part(trace_batch& batch) const noexcept {
        if (batch.span_count() <= most_spans_) return std::move(batch);
        trace_batch part;
        while (!batch.empty() && part.span_count() + batch.begin()->span_count <= most_spans_)
            part.push_back(batch.pop_front());
        if (!part.empty()) return part;
        part.push_back(batch.pop_front());
        while (part.span_count() > most_spans_) {
            trace_batch half = take_half(part);
            if (half.empty()) break;
            part.append(std::move(batch));
            batch = std::exchange(part, std::move(half));
        }
        return part;
    }

    // The first traces, or the root of a single one with some of its spans; nothing where that cannot be divided.
    static trace_batch take_half(trace_batch& batch) noexcept {
        trace_batch half;
        if (batch.size() != 1) {
            for (std::size_t left = batch.size() / 2; left > 0; --left) half.push_back(batch.pop_front());
            return half;
        }
        trace_data* const whole = batch.pop_front();
        trace_data* const others = detail::take_half(*whole);
        (others ? half : batch).push_back(whole);
        if (others) batch.push_back(others);
        return half;
    }

    static bool is_taken(const export_result& result) noexcept {
        return outcome_of(result) == trace::outcome::delivered;
    }

    // Asked by a trace that it has already, which does no harm.
    bool still_takes(round& now) {
        now.is_over = taken_.empty() || !is_taken(detail::guarded_export(exporter_, taken_));
        now.refusals = 0;
        return !now.is_over;
    }

    // What is refused alone, twice, by a receiver that takes others, is at fault.
    void settle(round& now) {
        while (trace_data* const suspect = now.suspects.pop_front()) {
            trace_batch alone(suspect);
            if (!taken_.empty() && !now.is_over && !is_interrupted()) {
                const export_result outcome = detail::guarded_export(exporter_, alone);
                if (is_taken(outcome)) {
                    now.exported += outcome.exported_spans;
                    now.failed += outcome.failed_spans;
                    continue;
                }
                if (outcome_of(outcome) == trace::outcome::wait) now.is_over = true;
                else if (still_takes(now)) now.failed += put_aside(alone, outcome.error);
            }
            now.again.append(std::move(alone)); // last: perhaps the receiver takes others
        }
    }

    // How many spans these were.
    std::size_t put_aside(trace_batch& batch, const std::string& error) noexcept {
        const std::size_t spans = batch.span_count();
        const auto keep = [&] {
            for (const trace_data& trace : batch) {
                rejected_trace rejected{decode(trace), error};
                const std::string news = std::string(trace.id.mlflow_id().view()) + " was put aside: " + error;
                line_.say([&] { return "retry: " + news; });
                const std::lock_guard guard(lock_);
                last_error_ = news;
                keep_rejected(std::move(rejected));
            }
        };
        detail::guarded(keep, [] {}); // counted all the same
        batch.clear();
        return spans;
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
        const std::lock_guard guard(lock_);
        return interrupted_;
    }

    bool wait_until(std::chrono::steady_clock::time_point until) {
        std::unique_lock guard(lock_);
        return !wake_.wait_until(guard, until, [this] { return interrupted_; });
    }

    options options_;
    Exporter exporter_;
    mutable std::mutex lock_;
    std::condition_variable wake_;
    std::string last_error_;
    std::vector<rejected_trace> rejected_;
    std::size_t rejected_bytes_ = 0;
    trace_batch taken_;                  // the latest trace that the receiver took: does it still take anything?
    std::size_t most_spans_ = unlimited; // at once, by what the receiver was too slow for
    detail::diagnostic_line line_{options_.diagnostics};
    bool interrupted_ = false;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
