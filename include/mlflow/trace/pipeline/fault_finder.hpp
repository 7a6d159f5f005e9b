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
#include <mlflow/trace/pipeline/delivery_round.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Delivers a batch in rounds and finds the spans that the receiver rejects. `retry` and `spool` use it.
//
// What a request leads to depends on its outcome (http/outcome.hpp):
// - `wait` ends the round. Everything that is left is sent again in the next one.
// - `put_aside` and `divide` split the batch in halves, and these again. A span that is rejected alone is sent again
//   after the others, each time before control requests, and quarantined when it has been rejected
//   `enough_rejections` times and the first control request was accepted each time. If it is not, the receiver
//   rejects everything, and the round ends. A control request sends the latest trace that the receiver accepted
//   (accepted_trace.hpp), or another waiting one.
// - A receiver may also store nothing new, as one whose database is full, and accept the traces that it has. So
//   nothing is quarantined before the receiver has accepted a new trace after it rejected the span.
// - A request that is not answered in time, or for which there is no memory, is sent in smaller parts. From the
// eighth
//   round on, so is one at which the receiver closes the connection, or to which it responds with a status that
//   means `wait`. A span that fails in this way even when it is sent alone is quarantined when that has happened
//   `most_rounds` times while others were accepted right after it; for other reasons than a timeout only after
//   `shortest_block`, and not where the receiver asks for patience (425, 429, Retry-After).
// - A host that is ending has no time for control requests: the span waits.
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

    using round = delivery_round;

    // `number` counts the rounds of this batch, starting from 1.
    template <class Host>
    round deliver(trace_batch batch, std::size_t number, Host& host) noexcept {
        attempts now{.accepted_before = accepted_new_,
                     .may_halve = number >= rounds_before_halving_,
                     .may_shrink = number >= 8,
                     .is_first_span = !has_accepted_ && is_single(batch)};
        while (!batch.empty()) {
            if (now.is_over) now.told.again.append(std::move(batch));
            trace_batch part = take_spans(batch, most_spans_);
            if (!part.empty()) attempt(part, now, host);
        }
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
        std::uint64_t accepted_before = 0;
        bool may_halve = false, may_shrink = false; // also for the outcome `divide`; also for `wait`
        bool is_first_span = false; // of all: nothing has been accepted, and nothing else is in the batch
        bool has_begun = false;
        bool is_over = false;       // the receiver is unreachable, busy, or accepts nothing
        bool has_taken = false;     // or a control request has been sent
        bool is_well = false;       // the latest request was accepted
        bool may_be_stored = false; // of the latest control request
        int asked = 0;              // control requests sent in the latest check
        int refusals = 0;           // since the latest success
        trace_batch suspects{};
        trace_data* latest_suspect = nullptr;
        trace_batch slow{}; // single spans without a response in time, or blocked; the receiver accepts others
        trace_batch late{}; // sent after the others in the next round
        error why_slow{};
        round told{};
        // What is neither accepted nor suspected.
        [[nodiscard]] std::size_t left_over() const noexcept {
            return told.again.span_count() + slow.span_count() + late.span_count() + told.failed;
        }
    };

    static constexpr std::size_t unlimited = ~std::size_t{0} / 2;
    // With halves of the largest batch, enough to reach one acceptable trace behind several that are rejected.
    static constexpr int most_refusals = 32;
    static constexpr int most_refusals_of_new = 128; // by a receiver that accepts control requests
    // A receiver may also fail at random, as where one of several servers is broken. Whatever part of the requests
    // then fails, a span that is not at fault hardly ever meets so many rounds in which others are accepted.
    static constexpr int most_rounds = 9;
    static constexpr int most_rejections = 20; // of which fewer control requests have to be accepted
    static constexpr int few_rejections = 5;   // enough if the receiver has not contradicted itself
    static constexpr std::chrono::minutes longest_doubt{10};
    static constexpr bool must_be_new = true;
    // A receiver that is restarted, or is behind a failing proxy, is not to blame on a span.
    static constexpr std::chrono::minutes shortest_block{2};

    template <class Host>
    void attempt(trace_batch& batch, attempts& now, Host& host) noexcept {
        if (now.is_over || (now.has_begun && host.is_ending()) || is_in_vain(now, host))
            return now.told.again.append(std::move(batch));
        now.has_begun = true;
        const std::size_t spans = batch.span_count();
        const trace_data* const last = &batch.back();
        const bool is_last_new = accepted_.is_new(*last);
        const std::uint64_t accepted_before = accepted_new_;
        export_result result = send(batch, now);
        const outcome what = outcome_of(result);
        if (what == outcome::delivered) {
            if (result.exported_spans != 0) accepted(batch);
            now.told.count(result);
            if (!result.ok()) now.told.error = std::move(result.error);
            now.refusals = 0;
            now.has_taken = true;
            if (!batch.empty() && batch.begin()->marks.is_rejected_alone) doubt();
            if (most_spans_ < unlimited) most_spans_ += most_spans_ / 8 + 1;
            if (!batch.empty()) accepted_.remember(trace_batch(batch.pop_front()));
            return;
        }
        ++now.refusals;
        const error why = result.error;
        if (may_have_been_stored(result)) {
            for_each_trace(batch, [](trace_data& trace) { trace.marks.may_be_stored = true; });
            accepted_.remember_split(batch);
        }
        now.told.note(result);
        now.is_over = what == outcome::wait;
        const bool is_refused = now.is_over && (why.kind() == error_kind::closed || why.status() != 0);
        const bool is_too_much = result.too_slow || (now.may_shrink && is_refused);
        if (is_too_much) most_spans_ = spans > 1 ? spans / 2 : 1;
        bool halve = what == outcome::put_aside || (what == outcome::divide && now.may_halve);
        const std::size_t left = batch.span_count();
        // The exporter has sent the traces one after the other, and delivered the last one after all that are left.
        const bool is_last_accepted = result.exported_spans != 0 && left != 0 && &batch.back() != last;
        if (is_last_accepted && is_last_new) ++accepted_new_;
        if (is_last_accepted && what != outcome::wait)
            for_each_trace(batch, [&](trace_data& trace) { mark_rejected(trace, accepted_before); });
        trace_batch first = halve ? split_off_half(batch) : trace_batch();
        if (halve && first.empty() && batch.span_count() > 1) { // no memory
            halve = false;
            now.is_over = true;
        }
        // The exporter has moved these out of the batch, so they are not sent again.
        const std::size_t moved = left < spans ? spans - left : 0;
        const std::size_t kept = moved < result.exported_spans ? moved : result.exported_spans;
        now.told.exported += kept;
        now.told.has_failed(moved - kept, why);
        if (!first.empty()) return attempt_halves(first, batch, now, host);
        if (halve && is_single(batch)) return suspect(std::move(batch), result, now, host);
        const bool is_blocked = is_refused && result.retry_after.count() == 0 && !asks_for_patience(why.status());
        if (is_single(batch) && (result.too_slow || (now.may_shrink && is_blocked)) &&
            goes_on_after(batch, is_blocked, now, host)) {
            now.why_slow = why;
            return now.slow.append(std::move(batch));
        }
        now.told.exported_in_part += result.exported_spans - kept;
        (is_too_much ? now.late : now.told.again).append(std::move(batch));
    }

    // If all but one span of a rejected request are accepted then, that span was rejected with the request.
    template <class Host>
    void attempt_halves(trace_batch& first, trace_batch& second, attempts& now, Host& host) noexcept {
        const std::uint64_t accepted_before = accepted_new_;
        const std::size_t suspects = now.suspects.size();
        const std::size_t left_over = now.left_over();
        attempt(first, now, host);
        attempt(second, now, host);
        if (now.left_over() != left_over) return;
        if (now.suspects.size() == suspects) doubt();
        if (now.suspects.size() == suspects + 1) lower(now.latest_suspect->marks.failed_after, accepted_before);
    }

    // While nothing is accepted, the first span that is rejected alone is followed by a control request: the receiver
    // may reject everything.
    template <class Host>
    void suspect(trace_batch&& alone, const export_result& rejected, attempts& now, Host& host) noexcept {
        if (host.is_ending()) return now.told.again.append(std::move(alone));
        trace_data* const trace = alone.pop_front();
        mark_rejected(*trace, accepted_new_);
        if (!std::exchange(now.has_taken, true) && !takes_others(now, host) && now.asked == 0) {
            now.is_over = false; // there is no control trace
            if (now.is_first_span && outcome_of(rejected) == outcome::put_aside) {
                alone.push_back(trace);
                return put_aside(alone, now.told.error, now, host);
            }
        }
        now.suspects.push_back(now.latest_suspect = trace);
    }

    // Whether the receiver accepts others after it did not accept this span. If so, the failure counts.
    template <class Host>
    bool goes_on_after(trace_batch& alone, bool is_blocked, attempts& now, Host& host) noexcept {
        if (host.is_ending()) return false;
        trace_data* const trace = alone.pop_front();
        mark_slow(*trace);
        const bool goes_on = takes_others(now, host) && takes_more(trace->marks.slow_rounds, now);
        if (goes_on && (is_shown(*trace) || takes_another(now, host, must_be_new))) {
            if (trace->marks.slow_rounds < most_rounds) ++trace->marks.slow_rounds;
            if (is_blocked && trace->marks.blocked_since == 0) trace->marks.blocked_since = now_ticks();
        }
        alone.push_back(trace);
        return goes_on;
    }

    template <class Host>
    bool is_in_vain(attempts& now, Host& host) noexcept {
        if (now.refusals >= most_refusals_of_new) return true;
        return now.refusals != 0 && now.refusals % most_refusals == 0 && !takes_others(now, host);
    }

    export_result send(trace_batch& batch, attempts& now) noexcept {
        export_result result = guarded_export(exporter_, batch);
        now.is_well = outcome_of(result) == outcome::delivered;
        has_accepted_ = has_accepted_ || result.exported_spans != 0;
        return result;
    }
    // The receiver rejects what it accepts at other times.
    void doubt() noexcept { doubted_until_ = Clock::now() + longest_doubt; }
    [[nodiscard]] int enough_rejections() const noexcept {
        return Clock::now() < doubted_until_ ? most_rejections : few_rejections;
    }

    void accepted(const trace_batch& batch) noexcept {
        accepted_new_ += accepted_.is_new(batch) ? 1U : 0U;
        accepted_.remember_split(batch);
    }
    // Whether the receiver has accepted something new since it rejected this span, or the span was slow.
    [[nodiscard]] bool is_shown(const trace_data& failed) const noexcept {
        return accepted_new_ > failed.marks.failed_after;
    }
    static void mark_rejected(trace_data& trace, std::uint64_t accepted_before) noexcept {
        if (!std::exchange(trace.marks.is_rejected_alone, true)) trace.marks.failed_after = accepted_before;
        trace.marks.is_slow = false;
    }
    void mark_slow(trace_data& trace) const noexcept {
        if (!std::exchange(trace.marks.is_slow, true)) trace.marks.failed_after = accepted_new_;
        trace.marks.is_rejected_alone = false;
    }
    static int count_rejection(trace_batch& alone) noexcept {
        trace_data* const trace = alone.pop_front();
        if (trace->marks.rejections < most_rejections) ++trace->marks.rejections;
        alone.push_back(trace);
        return trace->marks.rejections;
    }
    static std::int64_t now_ticks() noexcept { return Clock::now().time_since_epoch().count(); }
    static bool is_proven(const trace_data& slow) noexcept {
        const typename Clock::duration blocked(
            slow.marks.blocked_since == 0 ? 0 : now_ticks() - slow.marks.blocked_since);
        return slow.marks.slow_rounds >= most_rounds && (slow.marks.blocked_since == 0 || blocked >= shortest_block);
    }
    static void lower(std::uint64_t& value, std::uint64_t to) noexcept { value = value < to ? value : to; }
    static bool is_single(const trace_batch& batch) noexcept { return batch.span_count() == 1; }

    template <class Host>
    bool takes_others(attempts& now, Host& host) noexcept {
        now.asked = 0;
        accepted_.forget_what_is_old();
        now.is_over = !takes_again(now) && !takes_another(now, host);
        // Without a control trace, what this round has delivered shows enough.
        if (now.asked == 0 && accepted_new_ != now.accepted_before) now.is_over = host.is_ending();
        return !now.is_over;
    }
    // Further control requests: none, one and two of them in turn. Otherwise requests that go to several servers by
    // turns could always meet the broken one with the same span.
    bool takes_more(int rounds, attempts& now) noexcept {
        bool takes_all = true;
        for (int more = accepted_.batch().empty() ? 0 : rounds % 3; more > 0; --more)
            takes_all = takes_again(now) && takes_all;
        now.is_well = true; // one was accepted before
        return takes_all;
    }
    bool takes_again(attempts& now) noexcept {
        if (takes(accepted_.batch(), now)) return true;
        if (!accepted_.batch().empty()) doubt();
        return false;
    }
    template <class Host>
    bool takes_another(attempts& now, Host& host, bool only_new = false) noexcept {
        trace_data* const other = host.is_ending() ? nullptr : host.another();
        if (!other) return false;
        trace_batch asked(other);
        const trace_id id = other->id;
        const bool is_new = accepted_.is_new(asked);
        if (only_new && !is_new) return false;
        const bool takes_it = takes(asked, now);
        if (takes_it || now.may_be_stored) accepted_.remember_waiting(id);
        if (!takes_it) return false;
        accepted_new_ += is_new ? 1U : 0U;
        if (!asked.empty()) accepted_.remember(std::move(asked));
        return true;
    }
    bool takes(trace_batch& asked, attempts& now) noexcept {
        if (asked.empty()) return false;
        ++now.asked;
        export_result result = send(asked, now);
        now.may_be_stored = may_have_been_stored(result);
        if (!now.is_well) now.told.note(result);
        return now.is_well;
    }

    template <class Host>
    void settle(attempts& now, Host& host) noexcept {
        bool may_ask = true; // another new one
        while (trace_data* const suspect = now.suspects.pop_front()) {
            trace_batch alone(suspect);
            const bool is_over = now.is_over || host.is_ending();
            if (!is_over && !is_shown(*suspect) && may_ask) may_ask = takes_another(now, host, must_be_new);
            if (!is_over && is_shown(*suspect) && (now.is_well || takes_others(now, host))) settle(alone, now, host);
            now.late.append(std::move(alone));
        }
    }

    // Quarantines a span that is rejected again and again between control requests. Otherwise it stays in `alone`.
    template <class Host>
    void settle(trace_batch& alone, attempts& now, Host& host) noexcept {
        for (bool is_first = true; !host.is_ending(); is_first = false) {
            export_result result = send(alone, now);
            const outcome what = outcome_of(result);
            if (what == outcome::delivered) {
                doubt();
                accepted(alone);
                now.told.count(result);
                return alone.clear();
            }
            if (alone.empty()) return now.told.has_failed(1, result.error); // the exporter has moved it out
            if (what == outcome::wait || !takes_others(now, host)) {
                now.is_over = true;
                return now.told.note(result);
            }
            // If the first control trace was rejected too, the receiver may have recovered only now.
            if (now.asked > 1 && is_first) continue;
            const int rejections = count_rejection(alone);
            static_cast<void>(takes_more(rejections - 1, now)); // a failure casts a doubt
            if (rejections < enough_rejections()) continue;
            put_aside(alone, result.error, now, host);
            return alone.clear();
        }
    }

    template <class Host>
    static void put_aside(trace_batch& alone, const error& why, attempts& now, Host& host) noexcept {
        now.told.has_failed(alone.span_count(), why);
        host.put_aside(alone, why);
    }

    // Quarantines the spans that have been too slow, or blocked, in each of the latest rounds.
    template <class Host>
    void settle_slow(attempts& now, Host& host) noexcept {
        const bool is_all_that_waits = now.told.again.empty() && now.late.empty();
        while (trace_data* const slow = now.slow.pop_front()) {
            trace_batch alone(slow);
            if (is_proven(*slow)) {
                put_aside(alone, now.why_slow, now, host);
                continue;
            }
            if (is_all_that_waits) now.told.error = now.why_slow;
            now.late.append(std::move(alone));
        }
    }

    Exporter& exporter_;
    backoff waits_;
    std::size_t rounds_before_halving_;
    accepted_trace<Clock> accepted_;
    bool has_accepted_ = false;
    std::uint64_t accepted_new_ = 0; // requests with something that had not been accepted before
    typename Clock::time_point doubted_until_{};
    std::size_t most_spans_ = unlimited; // in one request; reduced when the receiver is too slow
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
