// SPDX-License-Identifier: Apache-2.0
// What `retry` and `spool` share, without them: against a model of a receiver with poisoned spans, outages, and times
// in which it takes nothing. MLFLOW_TRACE_SEED sets the first of the random runs, MLFLOW_TRACE_SCHEDULES how many.
#include "support/environment.hpp"
#include <mlflow/trace/core/copied_trace.hpp>
#include <mlflow/trace/pipeline/fault_finder.hpp>
#include <mlflow/trace/pipeline/retry.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using number = std::uint64_t; // of a span, which is its ID

mt::trace_data* trace_of(number first, std::size_t spans) {
    mt::trace_data* const trace = mt::detail::pool<mt::trace_data>::instance().take();
    trace->id = {first + 1, first + 1};
    mt::span_data** last = &trace->spans;
    for (number i = first; i < first + spans; ++i) {
        mt::span_data* const span = mt::detail::pool<mt::span_data>::instance().take();
        span->id.value = i + 1;
        span->next = nullptr;
        *last = span;
        last = &span->next;
    }
    trace->root = trace->spans;
    trace->span_count = spans;
    return trace;
}

template <class Visit>
void each_span(const mt::trace_batch& batch, const Visit& visit) {
    for (const mt::trace_data& trace : batch)
        for (const mt::span_data* span = trace.spans; span; span = span->next) visit(span->id.value - 1);
}

enum class answer { taken, at_fault, unknown, away, too_slow, broken_off };

// Takes a batch as a whole or nothing of it, unless it takes parts.
struct receiver {
    std::map<number, answer> poison;
    std::map<number, int> times;          // that a span was sent
    std::function<answer()> now_and_then; // for one request, whatever it holds
    std::function<void(const mt::trace_batch&, answer)> after_request;
    std::vector<std::pair<answer, int>> phases; // for so many requests, whatever they hold; the last one comes first
    std::size_t most_spans = 1'000'000;         // that are answered in time; more are stored, and not answered
    std::set<number> stored;
    std::set<std::string> traces; // of which something is stored
    bool takes_parts = false;
    bool takes_what_it_has = false; // also in a phase in which it takes nothing else
    int requests = 0;

    // What the phase says to a request, whatever the request holds.
    answer phase_of_request() {
        ++requests;
        if (now_and_then) {
            if (const answer once = now_and_then(); once != answer::taken) return once;
        }
        if (phases.empty()) return answer::taken;
        const answer now = phases.back().first;
        if (--phases.back().second == 0) phases.pop_back();
        return now;
    }
    answer judge(const mt::trace_batch& batch) {
        answer worst = batch.span_count() > most_spans ? answer::too_slow : answer::taken;
        each_span(batch, [&](number span) {
            const auto found = poison.find(span);
            if (found != poison.end() && (worst == answer::taken || worst == answer::too_slow)) worst = found->second;
        });
        if (worst == answer::taken || worst == answer::too_slow) store(batch);
        return worst;
    }
    void store(const mt::trace_batch& batch) {
        each_span(batch, [&](number span) { stored.insert(span); });
        for (const mt::trace_data& trace : batch) traces.emplace(trace.id.hex().view());
    }
    [[nodiscard]] bool has(const mt::trace_batch& batch) const {
        for (const mt::trace_data& trace : batch)
            if (!traces.contains(std::string(trace.id.hex().view()))) return false;
        return true;
    }
    mt::export_result export_traces(mt::trace_batch& batch) {
        each_span(batch, [&](number span) { ++times[span]; });
        answer phase = phase_of_request();
        if (takes_what_it_has && has(batch)) phase = answer::taken;
        if (phase == answer::taken && takes_parts) return export_parts(batch);
        const answer told = phase == answer::taken ? judge(batch) : phase;
        if (after_request) after_request(batch, told);
        return result_of(told, batch.span_count());
    }
    // As `mlflow_exporter` sends what belongs to each trace: what is taken leaves the batch, the rest stays there.
    mt::export_result export_parts(mt::trace_batch& batch) {
        mt::export_result outcome;
        mt::trace_batch taken;
        mt::trace_batch left;
        while (mt::trace_data* const trace = batch.pop_front()) {
            mt::trace_batch alone(trace);
            mt::export_result one = result_of(judge(alone), alone.span_count());
            outcome.exported_spans += one.exported_spans;
            outcome.failed_spans += one.failed_spans;
            const bool is_unknown = !one.ok() && !one.retryable && !one.content_rejected;
            outcome.retryable = outcome.retryable || one.retryable || is_unknown;
            outcome.content_rejected = outcome.content_rejected || one.content_rejected || is_unknown;
            outcome.too_slow = outcome.too_slow || one.too_slow;
            (one.ok() ? taken : left).append(std::move(alone));
            if (one.error) outcome.error = std::move(one.error);
        }
        batch = std::move(left.empty() ? taken : left);
        return outcome;
    }
    static mt::export_result result_of(answer told, std::size_t spans) {
        switch (told) {
        case answer::taken: return {.exported_spans = spans};
        case answer::at_fault:
            return {
                .failed_spans = spans, .error = {mt::error_kind::other, {}, "at fault"}, .content_rejected = true};
        case answer::unknown: return {.failed_spans = spans, .error = {mt::error_kind::other, {}, "unknown"}};
        case answer::away:
            return {.failed_spans = spans,
                    .error = {mt::error_kind::connect, {}, "away"},
                    .retryable = true,
                    .retry_after = 7ms};
        case answer::broken_off:
            return {.failed_spans = spans, .error = {mt::error_kind::closed, {}, "broken off"}, .retryable = true};
        case answer::too_slow: break;
        }
        return {.failed_spans = spans,
                .error = {mt::error_kind::timeout, {}, "no answer"},
                .retryable = true,
                .too_slow = true};
    }
};

struct owner {
    std::multiset<number> aside;
    std::vector<std::string> why;
    mt::trace_batch others; // that wait outside of the batch
    std::function<void(number, const std::string&)> before_aside;
    bool ends = false;

    bool is_ending() const noexcept { return ends; }
    mt::trace_data* another() noexcept {
        if (others.empty()) return nullptr;
        mt::trace_data* const first = others.pop_front();
        others.push_back(first);
        return mt::detail::copy_of(*first);
    }
    void put_aside(mt::trace_batch& batch, const mt::error& error) {
        each_span(batch, [&](number span) {
            if (before_aside) before_aside(span, error.message());
            aside.insert(span);
        });
        why.push_back(error.message());
    }
};

// A steady clock that a test sets.
struct test_clock {
    using duration = std::chrono::steady_clock::duration;
    using time_point = std::chrono::steady_clock::time_point;
    static time_point now() noexcept { return time; }
    static inline time_point time{};
};
constexpr auto longest_kept = 5min; // of a trace for control requests

using finder_type = mt::detail::fault_finder<receiver, test_clock>;

class fault_finder : public testing::Test {
protected:
    mt::trace_batch batch_of(std::size_t traces, std::size_t spans_of_each = 1) {
        mt::trace_batch batch;
        for (std::size_t i = 0; i < traces; ++i) {
            batch.push_back(trace_of(next_, spans_of_each));
            next_ += spans_of_each;
        }
        return batch;
    }
    // Up to so many rounds; what is left.
    mt::trace_batch deliver(mt::trace_batch batch, std::size_t most_rounds = 1'000) {
        return deliver_from(1, std::move(batch), most_rounds);
    }
    mt::trace_batch deliver_from(std::size_t first_round, mt::trace_batch batch, std::size_t most_rounds) {
        for (std::size_t i = first_round; !batch.empty() && i < first_round + most_rounds; ++i) {
            const std::size_t before = batch.span_count();
            auto round = finder_.deliver(std::move(batch), i, owner_);
            EXPECT_EQ(before, round.exported + round.failed + round.again.span_count());
            EXPECT_EQ(static_cast<bool>(round.why_failed), round.failed != 0);
            exported_ += round.exported;
            failed_ += round.failed;
            batch = std::move(round.again);
            last_error_ = round.error.message();
            last_retry_after_ = round.retry_after;
        }
        return batch;
    }

    // The application records another trace, which waits elsewhere.
    void record_another() { owner_.others.push_back(trace_of(next_other_++, 1)); }

    receiver receiver_;
    owner owner_;
    finder_type finder_{receiver_, 1ms, 1ms, 3};
    number next_ = 0;
    number next_other_ = 1'000'000;
    std::size_t exported_ = 0;
    std::size_t failed_ = 0;
    std::string last_error_;
    std::chrono::milliseconds last_retry_after_{0};
};

TEST_F(fault_finder, puts_aside_one_span_of_one_trace) {
    for (const answer kind : {answer::at_fault, answer::unknown}) {
        receiver_ = {};
        owner_.aside.clear();
        const number first = next_;
        receiver_.poison[first + 77] = kind;
        EXPECT_TRUE(deliver(batch_of(50, 10)).empty());
        EXPECT_EQ(owner_.aside, std::multiset<number>{first + 77});
        EXPECT_EQ(receiver_.stored.size(), 499U);
        EXPECT_LE(receiver_.requests, 3 + 2 * 9 + 14) << "halves, not one by one";
    }
    EXPECT_EQ(owner_.why, (std::vector<std::string>{"at fault", "unknown"}));
}

// MLflow answers 400 also where its database fails, and gateways where a key has expired.
TEST_F(fault_finder, waits_while_the_receiver_finds_fault_with_everything) {
    for (const std::size_t traces : {1U, 2U, 100U}) {
        for (const int length : {1, 2, 3, 30, 1'000}) {
            EXPECT_TRUE(deliver(batch_of(1)).empty());
            receiver_.phases = {{answer::at_fault, length}};
            EXPECT_TRUE(deliver(batch_of(traces), 2'000).empty());
            receiver_.phases.clear();
        }
    }
    EXPECT_TRUE(owner_.aside.empty()) << owner_.aside.size();
    EXPECT_EQ(exported_, next_);

    receiver_.phases = {{answer::at_fault, 1'000'000}};
    receiver_.requests = 0;
    EXPECT_EQ(deliver(batch_of(1'000), 10).span_count(), 1'000U);
    EXPECT_LE(receiver_.requests, 10 * 12) << "it is not asked for each span";
    EXPECT_EQ(last_error_, "at fault");
}

// Nothing was ever taken: another one that waits tells as much.
TEST_F(fault_finder, waits_while_it_finds_fault_with_what_waits_elsewhere_too) {
    owner_.others = batch_of(2);
    receiver_.phases = {{answer::at_fault, 50}};
    EXPECT_TRUE(deliver(batch_of(10)).empty());
    EXPECT_EQ(exported_, 10U);
    EXPECT_TRUE(owner_.aside.empty());
}

TEST_F(fault_finder, is_not_held_up_where_the_receiver_has_become_stricter) {
    EXPECT_TRUE(deliver(batch_of(1)).empty()); // by which it asks
    receiver_.poison[0] = receiver_.poison[1] = receiver_.poison[2] = answer::at_fault;
    EXPECT_TRUE(deliver(batch_of(5), 20).empty());
    EXPECT_EQ(owner_.aside, (std::multiset<number>{1, 2}));
    EXPECT_EQ(exported_, 4U);
}

TEST_F(fault_finder, waits_for_what_comes_back) {
    receiver_.phases = {{answer::away, 1}};
    auto left = deliver(batch_of(10), 1);
    EXPECT_EQ(left.span_count(), 10U);
    EXPECT_EQ(receiver_.requests, 1);
    EXPECT_EQ(last_error_, "away");
    EXPECT_EQ(last_retry_after_, 7ms);
    EXPECT_TRUE(deliver(std::move(left)).empty());
    EXPECT_EQ(exported_, 10U);
}

// The first of a process comes alone, and nothing has ever been taken.
TEST_F(fault_finder, asks_by_another_one_where_nothing_was_taken) {
    receiver_.poison[0] = answer::unknown;
    auto left = deliver(batch_of(1), 20);
    EXPECT_EQ(left.span_count(), 1U) << "nothing shows that the receiver takes others";
    EXPECT_LE(receiver_.requests, 20);
    owner_.others = batch_of(3);
    receiver_.poison[1] = answer::unknown;
    EXPECT_TRUE(deliver(std::move(left), 20).empty());
    EXPECT_EQ(owner_.aside, std::multiset<number>{0});
    EXPECT_EQ(owner_.others.size(), 3U);
}

TEST_F(fault_finder, asks_again_for_the_one_that_nothing_proves_at_fault) {
    receiver_.phases = {{answer::unknown, 10}};
    auto left = deliver(batch_of(1), 8);
    EXPECT_EQ(left.span_count(), 1U);
    EXPECT_TRUE(deliver(std::move(left)).empty());
    EXPECT_EQ(exported_, 1U);
}

// What was taken before is no longer taken, and yet others are.
TEST_F(fault_finder, is_not_held_up_by_the_one_that_it_asks_by) {
    EXPECT_TRUE(deliver(batch_of(1)).empty());
    receiver_.poison[0] = answer::unknown;
    auto left = deliver(batch_of(1));
    EXPECT_TRUE(left.empty());
    receiver_.poison[1] = receiver_.poison[2] = answer::unknown;
    left = deliver(batch_of(1), 20);
    EXPECT_EQ(left.span_count(), 1U);
    owner_.others = batch_of(1);
    EXPECT_TRUE(deliver(std::move(left), 5).empty());
    EXPECT_EQ(owner_.aside, std::multiset<number>{2});
}

// One that is refused for a while is asked for itself too.
TEST_F(fault_finder, delivers_what_waits_though_the_one_that_it_asks_by_is_no_longer_taken) {
    EXPECT_TRUE(deliver(batch_of(1)).empty());
    receiver_.poison[0] = answer::unknown;
    receiver_.phases = {{answer::unknown, 20}};
    EXPECT_TRUE(deliver(batch_of(1), 100).empty());
    EXPECT_EQ(exported_, 2U);
}

TEST_F(fault_finder, tells_why_the_one_that_it_asks_by_is_not_taken) {
    EXPECT_TRUE(deliver(batch_of(1)).empty());
    receiver_.poison[1] = answer::unknown;
    receiver_.phases = {{answer::away, 1}, {answer::taken, 3}};
    auto left = deliver(batch_of(1), 3);
    EXPECT_TRUE(left.empty() || last_retry_after_ == 7ms) << last_error_;
}

// One of four is quarantined by 21 requests; the next one meets an outage.
TEST_F(fault_finder, tells_why_a_span_failed_though_a_later_request_fails_too) {
    EXPECT_TRUE(deliver(batch_of(1)).empty());
    receiver_.poison[2] = receiver_.poison[3] = answer::at_fault;
    receiver_.phases = {{answer::away, 1}, {answer::taken, 21}};
    const auto round = finder_.deliver(batch_of(4), 1, owner_);
    EXPECT_EQ(round.failed, 1U);
    EXPECT_EQ(round.why_failed.message(), "at fault");
    EXPECT_EQ(round.error.message(), "away");
    EXPECT_EQ(round.again.span_count(), 1U);
}

TEST_F(fault_finder, counts_what_was_taken_beside_the_one_that_is_rejected) {
    for (const bool has_control_trace : {false, true}) {
        for (const bool rejects_everything : {false, true}) {
            receiver_ = {};
            receiver_.takes_parts = true;
            finder_type finder(receiver_, 1ms, 1ms, 3);
            if (has_control_trace) static_cast<void>(finder.deliver(batch_of(1), 1, owner_));
            const number at_fault = next_ + 4;
            receiver_.poison[at_fault] = answer::at_fault;
            receiver_.phases = {{rejects_everything ? answer::at_fault : answer::taken, 3}, {answer::taken, 1}};
            const auto round = finder.deliver(batch_of(10), 1, owner_);
            const bool waits = has_control_trace && rejects_everything;
            EXPECT_EQ(round.exported, 9U);
            EXPECT_EQ(round.failed, waits ? 0U : 1U);
            EXPECT_EQ(round.again.span_count(), waits ? 1U : 0U);
            EXPECT_EQ(owner_.aside.count(at_fault), waits ? 0U : 1U);
            EXPECT_EQ(receiver_.stored.size(), has_control_trace ? 10U : 9U);
        }
    }
}

// A receiver whose state a test sets.
struct shared_receiver {
    struct options {
        receiver* to = nullptr;
    };
    explicit shared_receiver(options chosen) noexcept : to(chosen.to) {}
    mt::export_result export_traces(mt::trace_batch& batch) { return to->export_traces(batch); }
    receiver* to;
};

TEST_F(fault_finder, gives_retry_the_reason_of_the_spans_that_failed) {
    mt::retry<shared_receiver> retry(
        {.exporter = {&receiver_}, .first_wait = 1ms, .longest_wait = 1ms, .diagnostics = {.write = nullptr}});
    auto first = batch_of(1);
    EXPECT_TRUE(retry.export_traces(first).ok());
    receiver_.poison[1] = answer::at_fault;
    receiver_.phases = {{answer::away, 1}, {answer::taken, 6}};
    auto batch = batch_of(4);
    const auto result = retry.export_traces(batch);
    EXPECT_EQ(result.failed_spans, 1U);
    EXPECT_EQ(result.exported_spans, 3U);
    EXPECT_EQ(result.error.message(), "at fault");
    EXPECT_NE(retry.last_error().message().find(" was quarantined: at fault"), std::string::npos)
        << retry.last_error().message();
}

TEST_F(fault_finder, an_outage_that_ends_in_the_middle_costs_nothing) {
    for (int begin = 0; begin < 12; ++begin)
        for (int length = 2; length < 40; ++length) {
            receiver_.phases = {{answer::unknown, length}};
            if (begin != 0) receiver_.phases.push_back({answer::taken, begin});
            EXPECT_TRUE(deliver(batch_of(16)).empty());
            receiver_.phases.clear();
        }
    EXPECT_TRUE(owner_.aside.empty()) << owner_.aside.size();
}

TEST_F(fault_finder, does_not_ask_for_each_span_while_nothing_is_taken) {
    for (const std::size_t taken_before : {0U, 1U}) {
        EXPECT_TRUE(deliver(batch_of(taken_before)).empty());
        receiver_.phases = {{answer::unknown, 1'000'000}};
        receiver_.requests = 0;
        const auto left = deliver(batch_of(1'000), 10);
        EXPECT_EQ(left.span_count(), 1'000U);
        EXPECT_LE(receiver_.requests, 10 * 34);
        receiver_.phases.clear();
    }
}

TEST_F(fault_finder, sends_less_to_a_receiver_that_does_not_answer_in_time) {
    receiver_.most_spans = 60;
    EXPECT_TRUE(deliver(batch_of(100, 100)).empty());
    EXPECT_EQ(exported_, 10'000U);
    EXPECT_LE(receiver_.requests, 10'000 / 30);
    receiver_.most_spans = 1'000'000;
    receiver_.requests = 0;
    EXPECT_TRUE(deliver(batch_of(10'000)).empty());
    EXPECT_LE(receiver_.requests, 50) << "and more again";
}

TEST_F(fault_finder, puts_aside_what_alone_is_too_slow_again_and_again) {
    receiver_.poison = {{0, answer::too_slow}, {5, answer::too_slow}, {19, answer::too_slow}};
    record_another();
    record_another();
    record_another();
    EXPECT_TRUE(deliver(batch_of(20)).empty());
    EXPECT_EQ(owner_.aside, (std::multiset<number>{0, 5, 19}));
    EXPECT_EQ(owner_.why.front(), "no answer");
    EXPECT_EQ(exported_, 17U);
}

TEST_F(fault_finder, puts_nothing_aside_while_nothing_is_answered_in_time) {
    receiver_.phases = {{answer::too_slow, 1'000'000}};
    const auto left = deliver(batch_of(10), 1'000);
    EXPECT_EQ(left.span_count(), 10U);
    EXPECT_TRUE(owner_.aside.empty());
}

TEST_F(fault_finder, ends_after_one_attempt_where_that_is_wanted) {
    owner_.ends = true;
    receiver_.poison[3] = answer::at_fault;
    const auto left = deliver(batch_of(100), 1);
    EXPECT_EQ(left.span_count(), 100U);
    EXPECT_EQ(receiver_.requests, 1);
}

TEST_F(fault_finder, puts_nothing_aside_at_the_end_when_there_is_no_time_to_ask_what_else_is_rejected) {
    for (const bool has_taken : {false, true}) {
        EXPECT_TRUE(deliver(batch_of(has_taken ? 1 : 0), 1).empty());
        receiver_.phases = {{answer::at_fault, 1}}; // of everything
        owner_.ends = true;
        const auto left = deliver(batch_of(1), 1);
        EXPECT_EQ(left.span_count(), 1U);
        EXPECT_EQ(last_error_, "at fault");
        EXPECT_TRUE(owner_.aside.empty());
    }
}

// A span that crashes the server, or for which a proxy always gives up.
TEST_F(fault_finder, puts_aside_what_alone_is_broken_off_for_minutes_while_others_are_accepted) {
    test_clock::time += 1h;
    receiver_.poison = {{3, answer::broken_off}, {11, answer::broken_off}};
    auto left = deliver(batch_of(20), 30);
    EXPECT_EQ(left.span_count(), 2U) << "no other one waits";
    owner_.others = batch_of(5);
    left = deliver_from(20, std::move(left), 40);
    test_clock::time += 119s;
    left = deliver_from(60, std::move(left), 40);
    EXPECT_TRUE(owner_.aside.empty()) << "not before two minutes";
    test_clock::time += 1s;
    EXPECT_TRUE(deliver_from(100, std::move(left), 10).empty());
    EXPECT_EQ(owner_.aside, (std::multiset<number>{3, 11}));
    EXPECT_EQ(exported_, 18U);
    EXPECT_EQ(owner_.why[0], "broken off");
}

TEST_F(fault_finder, waits_while_another_new_one_is_broken_off_too) {
    test_clock::time += 1h;
    EXPECT_TRUE(deliver(batch_of(5)).empty());
    owner_.others = batch_of(3); // 5, 6 and 7
    receiver_.poison = {
        {5, answer::broken_off}, {6, answer::broken_off}, {7, answer::broken_off}, {8, answer::broken_off}};
    auto left = batch_of(1);
    for (int i = 0; i < 30; ++i, test_clock::time += 1min) left = deliver_from(20, std::move(left), 10);
    EXPECT_EQ(left.span_count(), 1U) << "what was accepted before may be accepted again where nothing new is";
    EXPECT_TRUE(owner_.aside.empty());
    receiver_.poison.clear();
    EXPECT_TRUE(deliver_from(20, std::move(left), 10).empty());
    EXPECT_EQ(exported_, 6U);
}

// Rounds in which the receiver is away for all show nothing.
TEST_F(fault_finder, counts_the_rounds_in_which_another_one_is_accepted) {
    test_clock::time += 1h;
    owner_.others = batch_of(2);
    receiver_.poison[1] = answer::unknown; // the second of them
    receiver_.poison[2] = answer::broken_off;
    auto left = deliver_from(20, batch_of(1), 8);
    test_clock::time += 3min;
    receiver_.phases = {{answer::away, 1}};
    left = deliver_from(20, std::move(left), 1);
    EXPECT_EQ(left.span_count(), 1U);
    EXPECT_TRUE(deliver_from(20, std::move(left), 1).empty());
    EXPECT_EQ(owner_.aside, std::multiset<number>{2});
}

TEST_F(fault_finder, says_of_a_slow_span_that_it_waits_for_an_answer_whatever_else_is_rejected) {
    EXPECT_TRUE(deliver(batch_of(1), 1).empty());
    receiver_.poison = {{1, answer::too_slow}, {2, answer::at_fault}};
    record_another();
    record_another();
    const auto left = deliver(batch_of(2), 1);
    EXPECT_EQ(left.span_count(), 1U);
    EXPECT_EQ(failed_, 1U);
    EXPECT_EQ(last_error_, "no answer");
}

// Each trace is delivered before the next one is made, so that the pool hands out the same address again.
TEST_F(fault_finder, one_failure_of_each_of_two_spans_is_not_two_of_one) {
    finder_type finder(receiver_, 1ms, 1ms);
    receiver_.phases = {{answer::unknown, 1}, {answer::taken, 3}, {answer::unknown, 1}, {answer::taken, 1}};
    for (number span = 0; span < 4; ++span) {
        auto left = batch_of(1);
        for (std::size_t n = 1; n <= 2; ++n) left = std::move(finder.deliver(std::move(left), n, owner_).again);
        EXPECT_TRUE(left.empty()) << "span " << span;
    }
    EXPECT_TRUE(owner_.aside.empty());
}

TEST_F(fault_finder, sends_no_control_request_for_a_span_that_has_not_failed) {
    for (const bool is_rejected : {false, true}) { // the second one, for good
        receiver_ = {};
        finder_type finder(receiver_, 1ms, 1ms);
        static_cast<void>(finder.deliver(batch_of(1), 1, owner_));
        if (is_rejected) receiver_.poison[next_] = answer::unknown;
        else receiver_.phases = {{answer::unknown, 1}};
        record_another();
        EXPECT_TRUE(finder.deliver(batch_of(1), 1, owner_).again.empty());
        receiver_.requests = 0;
        for (int i = 0; i < 3; ++i) EXPECT_EQ(finder.deliver(batch_of(1), 1, owner_).exported, 1U);
        EXPECT_EQ(receiver_.requests, 3);
    }
}

TEST_F(fault_finder, counts_the_timeouts_of_each_span) {
    EXPECT_TRUE(deliver(batch_of(1)).empty());
    record_another();
    record_another();
    receiver_.poison[1] = answer::too_slow;
    auto left = deliver(batch_of(1), 8);
    EXPECT_EQ(left.span_count(), 1U);
    receiver_.poison[2] = answer::too_slow; // for a while
    left.append(batch_of(1));
    left = deliver(std::move(left), 1);
    EXPECT_EQ(owner_.aside, std::multiset<number>{1});
    left = deliver(std::move(left), 7);
    EXPECT_EQ(left.span_count(), 1U);
    receiver_.poison.erase(2);
    EXPECT_TRUE(deliver(std::move(left), 1).empty());
    EXPECT_EQ(exported_, 2U);
    receiver_.poison[3] = answer::too_slow;
    owner_.others.clear();
    record_another();
    left = deliver(batch_of(1), 8);
    EXPECT_EQ(left.span_count(), 1U) << "the timeouts of another one, whose memory it has, do not count";
    EXPECT_TRUE(deliver(std::move(left), 1).empty());
    EXPECT_EQ(owner_.aside, (std::multiset<number>{1, 3}));
}

// As a spool does with the files of two processes.
TEST_F(fault_finder, counts_the_timeouts_of_spans_in_batches_that_take_turns) {
    EXPECT_TRUE(deliver(batch_of(1)).empty());
    receiver_.poison = {{1, answer::too_slow}, {2, answer::too_slow}};
    record_another();
    record_another();
    auto one = batch_of(1);
    auto other = batch_of(1);
    for (int i = 0; i < 9; ++i) {
        EXPECT_TRUE(owner_.aside.empty());
        one = deliver(std::move(one), 1);
        other = deliver(std::move(other), 1);
    }
    EXPECT_EQ(owner_.aside, (std::multiset<number>{1, 2}));
}

TEST_F(fault_finder, does_not_count_the_timeouts_of_a_span_while_nothing_else_is_answered) {
    EXPECT_TRUE(deliver(batch_of(1)).empty());
    receiver_.poison[1] = answer::too_slow;
    record_another();
    auto left = deliver(batch_of(1), 8);
    receiver_.phases = {{answer::too_slow, 3}}; // of the span and of the control requests
    left = deliver(std::move(left), 1);
    EXPECT_EQ(left.span_count(), 1U);
    EXPECT_TRUE(deliver(std::move(left), 1).empty());
    EXPECT_EQ(owner_.aside, std::multiset<number>{1});
}

// It may have been deleted at the receiver since then.
TEST_F(fault_finder, does_not_send_a_trace_again_long_after_it_was_accepted) {
    for (const answer kind : {answer::unknown, answer::at_fault, answer::too_slow}) {
        const number first = next_;
        EXPECT_TRUE(deliver(batch_of(1)).empty());
        receiver_.poison[first + 1] = kind;
        test_clock::time += longest_kept - 1s;
        auto left = deliver(batch_of(1), 3); // control requests do not make the trace younger
        const int times = receiver_.times[first];
        EXPECT_GT(times, 1);
        test_clock::time += 1s;
        receiver_.poison[first + 2] = kind;
        left.append(batch_of(1));
        left = deliver(std::move(left), 10);
        EXPECT_EQ(receiver_.times[first], times);
        EXPECT_EQ(owner_.aside.count(first + 2), 0U) << "nothing shows that the receiver accepts others";
        owner_.others = batch_of(1);
        EXPECT_TRUE(deliver(std::move(left)).empty());
        EXPECT_EQ(owner_.aside.count(first + 2), 1U);
        owner_.others.clear();
    }
}

TEST_F(fault_finder, needs_no_control_request_for_a_span_that_fails_once) {
    for (const answer kind : {answer::unknown, answer::at_fault, answer::too_slow}) {
        EXPECT_TRUE(deliver(batch_of(1)).empty());
        test_clock::time += longest_kept;
        receiver_.phases = {{kind, 1}};
        receiver_.requests = 0;
        EXPECT_TRUE(deliver(batch_of(1)).empty());
        EXPECT_EQ(receiver_.requests, 2);
    }
    EXPECT_TRUE(owner_.aside.empty());
}

// Otherwise there would be no trace for control requests while only large ones arrive.
TEST_F(fault_finder, keeps_a_large_trace_instead_of_a_small_one_that_is_old) {
    EXPECT_TRUE(deliver(batch_of(1)).empty());
    test_clock::time += longest_kept;
    EXPECT_TRUE(deliver(batch_of(1, 1'000)).empty());
    receiver_.poison[next_] = answer::unknown;
    record_another();
    EXPECT_TRUE(deliver(batch_of(1), 3).empty());
    EXPECT_EQ(owner_.aside.size(), 1U);
    EXPECT_EQ(receiver_.times[0], 1);
}

// Moves traces out of the batch, although they are not delivered.
struct moving_receiver {
    mt::export_result export_traces(mt::trace_batch& batch) {
        const auto result = to.export_traces(batch);
        if (!result.ok() && ++failures == moves_at) batch.clear();
        return result;
    }
    receiver to{};
    int failures = 0;
    int moves_at = 0;
};

TEST_F(fault_finder, counts_a_span_that_the_exporter_moves_out_and_rejects) {
    for (const int moves_at : {1, 2}) {
        for (const answer kind : {answer::unknown, answer::at_fault}) {
            moving_receiver to{.moves_at = moves_at};
            mt::detail::fault_finder<moving_receiver> finder(to, 1ms, 1ms);
            static_cast<void>(finder.deliver(batch_of(1), 1, owner_));
            record_another();
            to.to.poison[next_] = kind;
            const auto round = finder.deliver(batch_of(1), 1, owner_);
            EXPECT_EQ(round.failed, 1U);
            EXPECT_TRUE(round.again.empty());
            EXPECT_TRUE(owner_.aside.empty());
        }
    }
}

// Requests go to several servers by turns, of which the one at turn `broken` fails in this way.
struct by_turns : fault_finder {
    void check(answer kind, int servers, int broken, std::size_t traces, bool others_wait, bool has_bad_one) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(kind) << ", " << servers << " servers, " << traces
                                        << " traces, others wait: " << others_wait << ", a bad one: " << has_bad_one);
        receiver_ = {};
        owner_.aside.clear();
        owner_.others = batch_of(others_wait ? 3 : 0);
        finder_type finder(receiver_, 1ms, 1ms);
        static_cast<void>(finder.deliver(batch_of(1), 1, owner_));
        int turn = broken;
        receiver_.now_and_then = [&] { return turn++ % servers == 0 ? kind : answer::taken; };
        auto left = batch_of(traces);
        std::multiset<number> bad;
        if (has_bad_one) {
            bad.insert(next_ - 1);
            receiver_.poison[next_ - 1] = answer::unknown;
        }
        for (std::size_t n = 1; n < 500 && !left.empty(); ++n) {
            test_clock::time += 10s;
            if (has_bad_one) record_another();
            left = std::move(finder.deliver(std::move(left), n, owner_).again);
        }
        EXPECT_TRUE(left.empty());
        EXPECT_EQ(owner_.aside, bad);
    }
};

TEST_F(by_turns, one_broken_server_costs_nothing) {
    for (const answer kind : {answer::at_fault, answer::unknown, answer::too_slow, answer::broken_off, answer::away})
        for (const int servers : {2, 3, 4})
            for (int broken = 0; broken < servers; ++broken)
                for (const std::size_t traces : {1U, 2U, 7U, 40U})
                    for (const bool others_wait : {false, true}) {
                        check(kind, servers, broken, traces, others_wait, false);
                        if (kind == answer::at_fault || kind == answer::unknown)
                            check(kind, servers, broken, traces, others_wait, true);
                    }
}

// ---- Random ones.

// Several batches, often of one span, so that the pool hands out the memory of delivered spans again. In some of the
// runs single requests fail, whatever they hold, and time passes.
class random_run {
public:
    explicit random_run(std::uint64_t seed) : random_(seed) {
        test_clock::time = test_clock::time_point(1h);
        to_.after_request = [this](const mt::trace_batch& batch, answer told) { note(batch, told); };
        owner_.before_aside = [this](number span, const std::string& why) { expect_proof(span, why); };
    }

    void run() {
        const std::size_t rounds_before_halving = one_in(2) ? 1 : 3;
        finder_type finder(to_, 1ms, 1ms, rounds_before_halving);
        const bool has_taken = one_in(2);
        if (has_taken) static_cast<void>(finder.deliver(mt::trace_batch(trace_of(first_taken, 1)), 1, owner_));
        if (one_in(4)) owner_.others.push_back(trace_of(bad_other, 1)), to_.poison[bad_other] = answer::unknown;
        ages_ = one_in(3);
        to_.takes_what_it_has = one_in(3);
        make_phases(has_taken);
        if (one_in(3)) make_flaky(has_taken);

        const bool one_by_one = one_in(3);
        std::uint64_t batches = one_by_one ? random_() % 40 : one_in(2) ? 1 : 1 + random_() % 8;
        for (; batches > 0 && !testing::Test::HasFatalFailure(); --batches)
            deliver(finder, one_by_one ? next_batch(1, 1) : next_batch(1 + random_() % 60, 20));
        ASSERT_EQ(exported_ + failed_, spans_);
        ASSERT_EQ(failed_, owner_.aside.size());
        for (number span = 0; span < spans_; ++span) {
            ASSERT_LE(owner_.aside.count(span), 1U);
            ASSERT_NE(owner_.aside.count(span), accepted_.count(span)) << "span " << span;
            const bool is_aside = owner_.aside.count(span) != 0;
            if (is_poisoned(span) || !to_.now_and_then) {
                ASSERT_EQ(is_aside, is_poisoned(span)) << "span " << span;
            } else if (is_aside) {
                ++lost_;
            }
        }
    }
    // Healthy spans that were quarantined, because single requests failed at random whatever they held.
    [[nodiscard]] std::size_t lost() const { return lost_; }

private:
    struct request {
        std::vector<number> spans;
        answer told = answer::taken;
        test_clock::time_point at{};

        [[nodiscard]] bool is_only(number span) const { return spans.size() == 1 && spans[0] == span; }
    };
    static constexpr number first_taken = 999'999;
    static constexpr number first_other = 1'000'000; // and above: wait outside of the batch
    static constexpr number bad_other = 2'000'000;

    bool one_in(unsigned times) { return random_() % times == 0; }
    answer one_of(std::vector<answer> these) { return these[random_() % these.size()]; }
    // Takes minutes to be proved.
    [[nodiscard]] answer broken_off() const { return ages_ ? answer::broken_off : answer::too_slow; }
    [[nodiscard]] bool is_poisoned(number span) const { return to_.poison.count(span) != 0; }

    mt::trace_batch next_batch(std::uint64_t traces, std::uint64_t most_spans) {
        const number first = spans_;
        mt::trace_batch batch;
        for (; traces > 0; --traces) {
            const std::size_t of_it = one_in(3) ? 1 + random_() % most_spans : 1;
            batch.push_back(trace_of(spans_, of_it));
            spans_ += of_it;
        }
        // A round ends early where a request fails, so that many poisoned spans would take long.
        const unsigned rate = (to_.now_and_then ? 10 : 2) + static_cast<unsigned>(random_() % 60);
        for (number span = first; span < spans_; ++span)
            if (one_in(rate))
                to_.poison[span] = one_of({answer::at_fault, answer::unknown, answer::too_slow, broken_off()});
        // One at least that shows whether the receiver is well.
        if (one_in(2)) to_.poison.erase(first + random_() % (spans_ - first));
        else owner_.others.push_back(trace_of(others_++, 1));
        return batch;
    }
    // An outage lasts for two requests at least: one that is over at once, and comes just then, looks like a fault.
    // So does fault that is found with everything before anything was taken.
    void make_phases(bool may_find_fault) {
        for (auto i = one_in(3) ? 0 : random_() % 6; i > 0; --i) {
            const answer kind = one_of({answer::away, answer::unknown, answer::too_slow, broken_off(),
                                        may_find_fault ? answer::at_fault : answer::away});
            const int longest = one_in(4) ? 300 : 20;
            to_.phases.emplace_back(kind, 2 + static_cast<int>(random_() % static_cast<unsigned>(longest)));
            // A receiver that is well for a moment only looks as if a span were at fault.
            const int shortest = to_.takes_what_it_has ? 1'000 : 1;
            to_.phases.emplace_back(answer::taken, shortest + static_cast<int>(random_() % 40));
        }
    }
    void make_flaky(bool may_find_fault) {
        const auto kind = one_of({answer::unknown, answer::too_slow, broken_off(), answer::taken});
        const auto rate = (kind == answer::taken ? 5 : 2) + static_cast<unsigned>(random_() % 20);
        to_.now_and_then = [=, this] {
            if (!one_in(rate)) return answer::taken;
            return kind != answer::taken ? kind
                                         : one_of({answer::away, answer::unknown, answer::too_slow, broken_off(),
                                                   may_find_fault ? answer::at_fault : answer::away});
        };
    }

    void deliver(finder_type& finder, mt::trace_batch batch) {
        for (std::size_t n = 1; !batch.empty(); ++n) {
            ASSERT_LT(n, to_.now_and_then ? 50'000U : 5'000U)
                << batch.span_count() << " of " << spans_ << " spans are left";
            if (ages_ && one_in(5)) test_clock::time += std::chrono::minutes(random_() % 10);
            if (one_in(20)) owner_.others.push_back(trace_of(others_++, 1)); // the application goes on
            const std::size_t before = batch.span_count();
            const int requests = to_.requests;
            const bool is_broken = !to_.now_and_then && !to_.phases.empty() &&
                                   to_.phases.back().first == answer::unknown && to_.phases.back().second > 100;
            nothing_failed_ = n == 1;
            auto round = finder.deliver(std::move(batch), n, owner_);
            batch = std::move(round.again);
            exported_ += round.exported;
            failed_ += round.failed;
            ASSERT_EQ(before, round.exported + round.failed + batch.span_count());
            ASSERT_TRUE(batch.empty() || round.error) << "what waits has a reason";
            ASSERT_EQ(round.why_failed.message(), round.failed == 0 ? "" : owner_.why.back());
            const std::size_t most = to_.takes_what_it_has ? 200 + 60 * round.failed : 36;
            ASSERT_LE(is_broken ? to_.requests - requests : 0, static_cast<int>(most));
            ASSERT_FALSE(testing::Test::HasFailure());
        }
    }

    void note(const mt::trace_batch& batch, answer told) {
        request one{.spans = {}, .told = told, .at = test_clock::time};
        each_span(batch, [&](number span) {
            one.spans.push_back(span);
            const auto found = accepted_.find(span);
            const bool is_control = found != accepted_.end() || span >= first_other;
            EXPECT_FALSE(nothing_failed_ && is_control) << "span " << span << " is sent though nothing failed";
            if (is_control && span < first_other) {
                EXPECT_LT(test_clock::time - found->second, longest_kept) << "span " << span;
            }
            if (told == answer::taken) accepted_.emplace(span, test_clock::time);
        });
        log_.push_back(std::move(one));
        nothing_failed_ = nothing_failed_ && told == answer::taken;
    }

    // What docs/reliability.md says of a span that is quarantined.
    void expect_proof(number span, const std::string& why) const {
        const auto shows_others = [&](const request& one) {
            return one.told == answer::taken &&
                   std::find(one.spans.begin(), one.spans.end(), span) == one.spans.end();
        };
        const bool has_accepted = std::any_of(log_.begin(), log_.end(), shows_others);
        int rejections = 0;
        int timeouts = 0; // while others were accepted
        int failures = 0; // these, and where it was broken off
        constexpr auto never = test_clock::time_point::min();
        auto broken_off_since = never;
        bool is_proved = false;   // by the last of them
        std::set<number> known;   // accepted before
        bool is_rejected = false; // with others or alone
        bool is_shown = false;    // then something new was accepted
        bool is_rejected_again = false;
        for (std::size_t i = 0; i < log_.size(); ++i) {
            const bool has_it = std::find(log_[i].spans.begin(), log_[i].spans.end(), span) != log_[i].spans.end();
            if (log_[i].told == answer::taken) {
                for (const number each : log_[i].spans)
                    if (known.insert(each).second) is_shown = is_shown || is_rejected;
            }
            is_rejected = is_rejected || has_it;
            is_rejected_again = is_rejected_again || (is_shown && has_it);
            if (!log_[i].is_only(span)) continue;
            std::size_t next = i + 1;
            while (next < log_.size() && !shows_others(log_[next]) && !log_[next].is_only(span)) ++next;
            const bool are_others_taken = next < log_.size() && shows_others(log_[next]);
            if (log_[i].told == answer::unknown || log_[i].told == answer::at_fault) ++rejections;
            const bool is_broken_off = log_[i].told == answer::broken_off && are_others_taken;
            const bool is_too_slow = log_[i].told == answer::too_slow && are_others_taken;
            timeouts += is_too_slow ? 1 : 0;
            failures += is_too_slow || is_broken_off ? 1 : 0;
            if (is_broken_off && broken_off_since == never) broken_off_since = log_[i].at;
            // Before it, up to two more control requests may have failed.
            const auto before = log_.begin() + static_cast<std::ptrdiff_t>(i);
            is_proved =
                are_others_taken &&
                std::any_of(before - static_cast<std::ptrdiff_t>(std::min<std::size_t>(i, 3)), before, shows_others);
        }
        const bool is_first = why == "at fault" && !has_accepted && owner_.others.empty();
        EXPECT_TRUE(is_first || is_rejected_again) << "span " << span;
        if (why == "no answer" || why == "broken off") {
            EXPECT_TRUE(timeouts >= 9 || (failures >= 9 && broken_off_since <= test_clock::time - 2min))
                << "span " << span;
        } else if (!is_first) {
            EXPECT_GE(rejections, 4) << "span " << span;
            EXPECT_TRUE(is_proved) << "span " << span;
        }
    }

    std::mt19937_64 random_;
    receiver to_;
    owner owner_;
    std::vector<request> log_;
    std::map<number, test_clock::time_point> accepted_;
    number spans_ = 0;
    number others_ = first_other;
    std::size_t exported_ = 0;
    std::size_t failed_ = 0;
    bool ages_ = false;
    bool nothing_failed_ = true; // of this batch
    std::size_t lost_ = 0;
};

TEST(fault_finder_model, loses_nothing_that_is_not_at_fault) {
    const std::uint64_t first = support::number_from("MLFLOW_TRACE_SEED", std::random_device{}());
    const std::uint64_t runs = support::number_from("MLFLOW_TRACE_SCHEDULES", 2'000);
    std::cout << "MLFLOW_TRACE_SEED=" << first << "\n";
    std::size_t lost = 0;
    for (std::uint64_t seed = first; seed < first + runs && !HasFailure(); ++seed) {
        SCOPED_TRACE("MLFLOW_TRACE_SEED=" + std::to_string(seed));
        random_run one(seed);
        one.run();
        lost += one.lost();
    }
    EXPECT_LE(lost, 1 + runs / 10'000) << "of " << runs << " runs";
}

} // namespace
