// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/core/split_trace.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/detail/backoff.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/pipeline/accepted_trace.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Why spans of a trace were quarantined.
inline error quarantined(const trace_id& id, const error& why) {
    return why.with_message(std::string(id.mlflow_id().view()) + " was quarantined: " + why.message());
}

// Delivers a batch in rounds and finds the spans that the receiver rejects. `retry` and `spool` use it.
//
// What a request leads to depends on its outcome (http/outcome.hpp):
// - `wait` ends the round. Everything that is left is sent again in the next one.
// - `put_aside` splits the batch in halves, and these again. A span that is rejected alone is sent again, each time
//   before control requests. If the first of these is accepted each time, and the span rejected `enough_rejections`
//   times, the span is quarantined. If it is not, the receiver rejects everything, and the round ends. A control
//   request sends the latest trace that the receiver accepted (accepted_trace.hpp), or another waiting one. If there
//   is neither, and the receiver has accepted nothing yet, the rejection alone is enough; otherwise the span waits
//   for another one. A host that is ending has no time for control requests: the span waits.
// - `divide` splits the batch too. A span that is rejected alone is sent again after the others, and quarantined in
//   the same way. While the receiver accepts nothing, nothing is quarantined, and the batch is not split down to
//   single spans.
// - A request that is not answered in time, or for which there is no memory, is split. A span that is not answered in
//   time even when sent alone, while others are, is quarantined when that has happened `most_rounds` times.
// - From the eighth round on, requests also get smaller if the receiver closes the connection or is busy (408, 425,
//   429, 502 and above): their size may be the reason. A span at which the receiver breaks off (closes the
//   connection, or 502 and above without Retry-After) even when it is sent alone, while another waiting trace is
//   accepted right after it, is quarantined when that has happened `most_rounds` times and for
//   `shortest_break_off`.
// - If memory for a split runs out, the batch is sent again in the next round.
//
// The host owns the batch. Its functions do not throw:
//   bool is_ending()                                   make no further attempt after the first one
//   trace_data* another()                              a copy of a trace that waits outside the batch, or null
//   void put_aside(trace_batch&, const error&)         quarantine these spans, for this reason
//
// Thread-safety: one thread at a time.
template <class Exporter, class Clock = std::chrono::steady_clock>
class fault_finder {
public:
    using milliseconds = std::chrono::milliseconds;

    // `rounds_before_halving`: the round from which on the outcome `divide` splits a batch.
    fault_finder(Exporter& to, milliseconds first_wait, milliseconds longest_wait,
                 std::size_t rounds_before_halving = 1) noexcept
        : exporter_(to), waits_(first_wait, longest_wait), rounds_before_halving_(rounds_before_halving) {}

    // The result of a round. The traces in `again` must be sent again after a pause.
    struct round {
        std::size_t exported = 0;
        std::size_t failed = 0; // quarantined, or rejected by a receiver that accepted the rest
        trace_batch again{};
        std::size_t exported_in_part = 0;  // spans in `again` that the receiver has already accepted
        mlflow::trace::error error{};      // of the latest request that failed
        mlflow::trace::error why_failed{}; // of the latest spans in `failed`
        milliseconds retry_after{0};
    };

    // `number` counts the rounds of this batch, starting from 1.
    template <class Host>
    round deliver(trace_batch batch, std::size_t number, Host& host) noexcept {
        attempts now{.may_halve = number >= rounds_before_halving_, .may_shrink = number >= 8};
        bool asked_in_vain = false;
        if (now.may_halve && is_single(batch) && batch.begin()->is_rejected_alone &&
            (number % 3 != 0 || !is_in_doubt())) {
            now.has_taken = takes_others(now, host);
            if (now.has_taken) now.suspects = std::exchange(batch, {});
            now.is_over = false; // the receiver may accept this batch
            asked_in_vain = !now.has_taken;
        }
        while (!batch.empty()) {
            if (now.is_over) now.told.again.append(std::move(batch));
            trace_batch part = take_part(batch);
            if (!part.empty()) attempt(part, now, host);
        }
        if (asked_in_vain && !now.has_taken) now.is_over = true;
        settle(now, host);
        settle_slow(now, host);
        now.told.again.append(std::move(now.late));
        if (now.told.exported + now.told.failed != 0) waits_.reset();
        return std::move(now.told);
    }

    // The pause before the next round.
    [[nodiscard]] milliseconds next_wait(const round& last) noexcept { return waits_.next(last.retry_after); }

private:
    struct attempts {
        bool may_halve = false, may_shrink = false; // also for the outcome `divide`; also for `wait`
        bool has_begun = false;
        bool is_over = false; // the receiver is unreachable, busy, or accepts nothing
        bool has_taken = false;
        bool is_well = false; // the latest request was accepted
        int asked = 0;        // control requests sent in the latest check
        int refusals = 0;     // since the latest success
        trace_batch suspects{};
        trace_batch slow{}; // single spans without a response in time, or broken off; the receiver accepts others
        trace_batch late{}; // sent after the others in the next round
        error why_slow{};
        round told{};
    };

    static constexpr std::size_t unlimited = ~std::size_t{0} / 2;
    // With halves of the largest batch, enough to reach one acceptable trace behind several that are rejected.
    static constexpr int most_refusals = 32;
    // A receiver may also fail at random, as where one of several servers is broken. Whatever part of the requests
    // then fails, a span that is not at fault hardly ever meets so many rounds in which others are accepted.
    static constexpr int most_rounds = 9;
    static constexpr int most_rejections = 20; // of which fewer control requests have to be accepted
    static constexpr int few_rejections = 3;   // enough if the receiver has not contradicted itself
    static constexpr std::chrono::minutes longest_doubt{10};
    // A receiver that is restarted, or is behind a failing proxy, is not to blame on a span.
    static constexpr std::chrono::minutes shortest_break_off{2};

    template <class Host>
    void attempt(trace_batch& batch, attempts& now, Host& host) noexcept {
        if (now.is_over || (now.has_begun && host.is_ending()) ||
            (now.refusals >= most_refusals && !takes_others(now, host))) {
            now.told.again.append(std::move(batch));
            return;
        }
        now.has_begun = true;
        const std::size_t spans = batch.span_count();
        export_result result = send(batch, now);
        const outcome what = outcome_of(result);
        if (what == outcome::delivered) {
            count(result, now, result.error);
            if (!result.ok()) now.told.error = std::move(result.error);
            now.refusals = 0;
            now.has_taken = true;
            if (most_spans_ < unlimited) most_spans_ += most_spans_ / 8 + 1;
            if (!batch.empty()) accepted_.remember(trace_batch(batch.pop_front()));
            return;
        }
        const bool is_at_fault = what == outcome::put_aside;
        if (!is_at_fault) ++now.refusals;
        const error why = result.error;
        note(result, now);
        now.is_over = what == outcome::wait;
        const bool is_too_much =
            result.too_slow || (now.may_shrink && (why.kind() == error_kind::closed || is_busy(why.status())));
        if (is_too_much) most_spans_ = spans > 1 ? spans / 2 : 1;
        bool halve = is_at_fault || (what == outcome::divide && now.may_halve);
        const std::size_t left = batch.span_count();
        trace_batch first = halve ? split_off_half(batch) : trace_batch();
        if (halve && first.empty() && batch.span_count() > 1) { // no memory
            halve = false;
            now.is_over = true;
        }
        // The exporter has moved these out of the batch, so they are not sent again.
        const std::size_t moved = left < spans ? spans - left : 0;
        const std::size_t kept = moved < result.exported_spans ? moved : result.exported_spans;
        now.told.exported += kept;
        has_failed(moved - kept, now, why);
        if (first.empty() && is_at_fault && halve) {
            if (host.is_ending()) return now.told.again.append(std::move(batch));
            now.asked = 0;
            if (!batch.empty()) static_cast<void>(takes_others(now, host));
            if (now.asked > 0 || (accepted_.has_been() && !batch.empty())) return settle(std::move(batch), now, host);
            now.is_over = false; // there is no control trace
            has_failed(left, now, why);
            host.put_aside(batch, why);
            return;
        }
        if (!first.empty()) {
            attempt(first, now, host);
            attempt(batch, now, host);
            return;
        }
        if (is_single(batch)) {
            const bool is_broken_off = is_too_much && !result.too_slow && result.retry_after.count() == 0 &&
                                       (why.kind() == error_kind::closed || why.status() >= 500);
            const bool is_slow =
                !host.is_ending() &&
                (result.too_slow ? takes_others(now, host) : is_broken_off && goes_on_with_another(now, host)) &&
                takes_more(batch.begin()->slow_rounds, now);
            mark(batch, what == outcome::divide && !is_slow, is_slow, is_broken_off);
            if (is_slow) {
                now.why_slow = why;
                return now.slow.append(std::move(batch));
            }
        }
        if (!halve) now.told.exported_in_part += result.exported_spans - kept;
        (halve ? now.suspects : is_too_much ? now.late : now.told.again).append(std::move(batch));
    }

    // The next traces to send, at most as many spans as the receiver answers in time. A larger trace is split.
    trace_batch take_part(trace_batch& batch) const noexcept {
        if (batch.span_count() <= most_spans_) return std::move(batch);
        trace_batch part;
        while (!batch.empty() && part.span_count() + batch.begin()->span_count <= most_spans_)
            part.push_back(batch.pop_front());
        if (!part.empty()) return part;
        part.push_back(batch.pop_front());
        while (part.span_count() > most_spans_) {
            trace_batch half = split_off_half(part);
            if (half.empty()) break;
            part.append(std::move(batch));
            batch = std::exchange(part, std::move(half));
        }
        return part;
    }

    // The first half of the traces, or the root of a single trace with half of its spans. Empty if a split is
    // impossible.
    static trace_batch split_off_half(trace_batch& batch) noexcept {
        trace_batch half;
        if (batch.size() != 1) {
            for (std::size_t left = batch.size() / 2; left > 0; --left) half.push_back(batch.pop_front());
            return half;
        }
        trace_data* const whole = batch.pop_front();
        trace_data* const others = detail::split_off_half(*whole);
        (others ? half : batch).push_back(whole);
        if (others) batch.push_back(others);
        return half;
    }

    export_result send(trace_batch& batch, attempts& now) noexcept {
        export_result result = guarded_export(exporter_, batch);
        now.is_well = outcome_of(result) == outcome::delivered;
        return result;
    }
    void doubt() noexcept {
        doubted_until_ = Clock::now() + longest_doubt;
    } // it rejects what it accepts at other times
    [[nodiscard]] bool is_in_doubt() const noexcept { return Clock::now() < doubted_until_; }
    [[nodiscard]] int enough_rejections() const noexcept { return is_in_doubt() ? most_rejections : few_rejections; }

    // The marks are in the trace, so that they end with it: the pool hands out the same address again. Rounds in
    // which others are not accepted either show nothing.
    static void mark(trace_batch& alone, bool is_rejected, bool is_slow = false,
                     bool is_broken_off = false) noexcept {
        trace_data* const trace = alone.pop_front();
        trace->is_rejected_alone = is_rejected;
        if (is_slow && trace->slow_rounds < most_rounds) ++trace->slow_rounds;
        if (is_slow && is_broken_off && trace->broken_off_since == 0) trace->broken_off_since = now_ticks();
        alone.push_back(trace);
    }
    static int count_rejection(trace_batch& alone) noexcept {
        trace_data* const trace = alone.pop_front();
        if (trace->rejections < most_rejections) ++trace->rejections;
        alone.push_back(trace);
        return trace->rejections;
    }
    static std::int64_t now_ticks() noexcept { return Clock::now().time_since_epoch().count(); }
    static bool is_proven(const trace_data& slow) noexcept {
        constexpr std::int64_t shortest = typename Clock::duration(shortest_break_off).count();
        return slow.slow_rounds >= most_rounds &&
               (slow.broken_off_since == 0 || now_ticks() - slow.broken_off_since >= shortest);
    }
    static bool is_single(const trace_batch& batch) noexcept { return batch.span_count() == 1; }
    static void has_failed(std::size_t spans, attempts& now, const error& why) noexcept {
        now.told.failed += spans;
        if (spans != 0) now.told.why_failed = why;
    }
    static void count(const export_result& result, attempts& now, const error& why) noexcept {
        now.told.exported += result.exported_spans;
        has_failed(result.failed_spans, now, why);
    }
    static void note(export_result& refused, attempts& now) noexcept {
        now.told.error = std::move(refused.error);
        if (refused.retry_after > now.told.retry_after) now.told.retry_after = refused.retry_after;
    }

    template <class Host>
    bool takes_others(attempts& now, Host& host) noexcept {
        now.asked = 0;
        accepted_.forget_what_is_old();
        now.is_over = !takes_again(now) && !takes_another(now, host);
        now.refusals = 0;
        return !now.is_over;
    }
    // Further control requests: none, one and two of them in turn. Otherwise requests that go to several servers by
    // turns could always meet the broken one with the same span.
    bool takes_more(int rounds, attempts& now) noexcept {
        bool takes_all = true;
        for (int more = rounds % 3; more > 0; --more) takes_all = takes_again(now) && takes_all;
        now.is_well = true; // one was accepted before
        return takes_all;
    }
    bool takes_again(attempts& now) noexcept {
        if (takes(accepted_.batch(), now)) return true;
        if (!accepted_.batch().empty()) doubt();
        return false;
    }
    template <class Host>
    bool takes_another(attempts& now, Host& host) noexcept {
        trace_data* const other = host.is_ending() ? nullptr : host.another();
        if (!other) return false;
        trace_batch asked(other);
        if (!takes(asked, now)) return false;
        if (!asked.empty()) accepted_.remember(std::move(asked));
        return true;
    }
    // A trace that was accepted before would prove too little: the receiver may only store nothing new.
    template <class Host>
    bool goes_on_with_another(attempts& now, Host& host) noexcept {
        if (!takes_another(now, host)) return false;
        now.refusals = 0;
        now.is_over = false;
        return true;
    }
    bool takes(trace_batch& asked, attempts& now) noexcept {
        if (asked.empty()) return false;
        ++now.asked;
        export_result result = send(asked, now);
        if (!now.is_well) note(result, now);
        return now.is_well;
    }

    template <class Host>
    void settle(attempts& now, Host& host) noexcept {
        while (trace_data* const suspect = now.suspects.pop_front()) {
            now.is_well = !now.is_over && !host.is_ending() && (now.is_well || takes_others(now, host));
            settle(trace_batch(suspect), now, host);
        }
    }

    // Quarantines a span that is rejected again and again between accepted control requests. `now.is_well` says that
    // the first control request was accepted.
    template <class Host>
    void settle(trace_batch&& alone, attempts& now, Host& host) noexcept {
        mark(alone, true);
        for (bool is_first = true; now.is_well; is_first = false) {
            export_result result = send(alone, now);
            const outcome what = outcome_of(result);
            if (what == outcome::delivered) {
                doubt();
                return count(result, now, result.error);
            }
            if (alone.empty()) return has_failed(1, now, result.error); // the exporter has moved it out
            if (what != outcome::wait && takes_others(now, host)) {
                // If the first control trace was rejected too, the receiver may have recovered only now.
                if (now.asked > 1 && is_first) continue;
                const int rejections = count_rejection(alone);
                static_cast<void>(takes_more(rejections - 1, now)); // a failure casts a doubt
                if (rejections < enough_rejections()) continue;
                has_failed(alone.span_count(), now, result.error);
                host.put_aside(alone, result.error);
                return;
            }
            now.is_over = true;
            if (what == outcome::wait) mark(alone, false);
            note(result, now);
            break;
        }
        now.late.append(std::move(alone));
    }

    // Quarantines the spans that have been too slow, or broken off, in each of the latest rounds.
    template <class Host>
    void settle_slow(attempts& now, Host& host) noexcept {
        const bool is_all_that_waits = now.told.again.empty() && now.late.empty();
        while (trace_data* const slow = now.slow.pop_front()) {
            if (!is_proven(*slow)) {
                if (is_all_that_waits) now.told.error = now.why_slow;
                now.late.push_back(slow);
                continue;
            }
            trace_batch alone(slow);
            has_failed(alone.span_count(), now, now.why_slow);
            host.put_aside(alone, now.why_slow);
        }
    }

    Exporter& exporter_;
    backoff waits_;
    std::size_t rounds_before_halving_;
    accepted_trace<Clock> accepted_;
    typename Clock::time_point doubted_until_{};
    std::size_t most_spans_ = unlimited; // in one request; reduced when the receiver is too slow
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
