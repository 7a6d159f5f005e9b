// SPDX-License-Identifier: Apache-2.0
// One trace that the receiver does not take, among many that it does.
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

// Takes batches as MLflow does, as a whole: one trace of a name that it does not take, and nothing is stored.
struct receiver {
    std::map<std::string, int> refused_by; // name and status
    int broken_for = 0;                    // requests that fail whatever they hold
    int broken_status = 500;
    std::vector<int> first_answers; // before all that
    std::set<std::string> stored;
    std::size_t most_spans = 1'000'000; // that are answered in time; more are stored, and not answered
    mt::error too_many{};               // the answer to more, which are not stored then
    int requests = 0;
};

struct scripted_exporter {
    struct options {
        receiver* to = nullptr;
    };
    explicit scripted_exporter(options chosen) : to(chosen.to) {}

    mt::export_result export_traces(mt::trace_batch& batch) const {
        ++to->requests;
        std::vector<std::string> names;
        int status = 200;
        if (!to->first_answers.empty()) {
            status = to->first_answers.front();
            to->first_answers.erase(to->first_answers.begin());
        } else if (to->broken_for-- > 0) {
            status = to->broken_status;
        }
        for (const mt::trace_data& trace : batch)
            for (const auto& span : mt::decode(trace).spans) {
                names.push_back(span.name);
                if (const auto found = to->refused_by.find(span.name); found != to->refused_by.end())
                    status = found->second;
            }
        if (to->too_many && names.size() > to->most_spans) {
            mt::export_result outcome;
            mt::detail::add_failure(outcome, batch.span_count(), to->too_many);
            return outcome;
        }
        if (status == 200) {
            to->stored.insert(names.begin(), names.end());
            if (names.size() > to->most_spans)
                return {.failed_spans = batch.span_count(),
                        .error = mt::error(mt::error_kind::timeout, {}, "no answer"),
                        .retryable = true,
                        .too_slow = true};
            return {.exported_spans = batch.span_count()};
        }
        mt::export_result outcome;
        mt::detail::add_failure(
            outcome, batch.span_count(),
            mt::error(mt::error_kind::other, {}, "answered " + std::to_string(status)).with_reply(status));
        return outcome;
    }
    receiver* to;
};

using retrying = mt::retry<scripted_exporter>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<retrying>>;

class poison : public testing::Test {
protected:
    tracer_type::options options() {
        return {.exporter = {.exporter = {.exporter = {&to_}, .first_wait = 1ms, .longest_wait = 1ms},
                             .delay = std::chrono::hours(1)}};
    }
    // One batch of these traces, delivered.
    void deliver(tracer_type& tracer, int traces) {
        for (int i = 0; i < traces; ++i) static_cast<void>(tracer.start_trace(std::to_string(i)));
        ASSERT_TRUE(tracer.flush(60s));
    }
    static retrying& retry_of(tracer_type& tracer) { return tracer.exporter().exporter(); }

    receiver to_;
};

TEST_F(poison, costs_nobody_else_anything) {
    for (const int status : {400, 413, 422, 500}) {
        to_ = {};
        to_.refused_by = {{"17", status}};
        tracer_type tracer(options());
        deliver(tracer, 512);
        EXPECT_EQ(to_.stored.size(), 511U) << status;
        EXPECT_EQ(to_.stored.count("17"), 0U);
        EXPECT_EQ(tracer.account().exported, 511U);
        EXPECT_EQ(tracer.account().failed, 1U);
        const auto rejected = retry_of(tracer).take_rejected();
        ASSERT_EQ(rejected.size(), 1U) << status;
        EXPECT_EQ(rejected[0].trace.spans.at(0).name, "17");
        EXPECT_EQ(rejected[0].error.message(), "answered " + std::to_string(status));
        EXPECT_NE(tracer.last_error().message().find("tr-" + std::string(rejected[0].trace.id.hex().view()) +
                                                     " was quarantined"),
                  std::string::npos)
            << tracer.last_error().message();
        EXPECT_LE(to_.requests, 5 + 2 * 9 + 12) << "halves, not one by one";
        EXPECT_TRUE(retry_of(tracer).take_rejected().empty());
    }
}

TEST_F(poison, is_found_among_other_poison) {
    to_.refused_by = {{"0", 400}, {"1", 500}, {"63", 422}, {"99", 500}};
    tracer_type tracer(options());
    deliver(tracer, 100);
    EXPECT_EQ(to_.stored.size(), 96U);
    EXPECT_EQ(tracer.account().failed, 4U);
    EXPECT_EQ(retry_of(tracer).take_rejected().size(), 4U);
}

TEST_F(poison, is_not_what_a_broken_server_refuses) {
    to_.broken_for = 300; // whatever comes, alone too
    tracer_type tracer(options());
    deliver(tracer, 16);
    EXPECT_EQ(to_.stored.size(), 16U);
    EXPECT_EQ(tracer.account().exported, 16U);
    EXPECT_TRUE(retry_of(tracer).take_rejected().empty());
}

// What was taken before it broke says nothing about what it refuses since then.
TEST_F(poison, is_not_what_a_server_refuses_that_has_broken_meanwhile) {
    to_.first_answers = {500, 500, 500, 200, 503}; // the batch three times, one half and the other
    to_.broken_for = 300;
    tracer_type tracer(options());
    deliver(tracer, 16);
    EXPECT_EQ(to_.stored.size(), 16U);
    EXPECT_EQ(tracer.account().exported, 16U);
    EXPECT_TRUE(retry_of(tracer).take_rejected().empty());
}

// As MLflow answers where its database fails, and gateways where a key has expired.
TEST_F(poison, is_not_what_a_server_refuses_that_finds_fault_with_everything) {
    for (const int status : {400, 413, 422})
        for (const int traces : {1, 16}) {
            to_ = {};
            tracer_type tracer(options());
            deliver(tracer, 1);
            to_.broken_for = 300;
            to_.broken_status = status;
            to_.refused_by = {{"15", status}};
            deliver(tracer, traces);
            const unsigned poisoned = traces == 16 ? 1 : 0;
            EXPECT_EQ(tracer.account().exported, 1U + static_cast<unsigned>(traces) - poisoned) << status;
            EXPECT_EQ(tracer.account().failed, poisoned) << status;
            EXPECT_EQ(retry_of(tracer).take_rejected().size(), poisoned);
        }
}

TEST_F(poison, is_not_what_a_server_refuses_to_this_client) {
    to_.first_answers = {401, 403, 401, 403};
    tracer_type tracer(options());
    deliver(tracer, 8);
    EXPECT_EQ(to_.requests, 5) << "halves would be refused as well";
    EXPECT_EQ(to_.stored.size(), 8U);
    EXPECT_TRUE(retry_of(tracer).take_rejected().empty());
}

TEST_F(poison, of_one_span_costs_no_other_of_its_trace) {
    for (const char* const poisoned : {"root", "0", "17", "99"}) {
        to_ = {};
        to_.refused_by = {{poisoned, 400}};
        tracer_type tracer(options());
        {
            const auto root = tracer.start_trace("root");
            for (int i = 0; i < 100; ++i) const auto child = tracer.start_span(std::to_string(i));
        }
        ASSERT_TRUE(tracer.flush(60s));
        EXPECT_EQ(to_.stored.size(), 100U) << poisoned;
        EXPECT_EQ(tracer.account().exported, 100U);
        EXPECT_EQ(tracer.account().failed, 1U);
        const auto rejected = retry_of(tracer).take_rejected();
        ASSERT_EQ(rejected.size(), 1U);
        ASSERT_EQ(rejected[0].trace.spans.size(), 1U);
        EXPECT_EQ(rejected[0].trace.spans[0].name, poisoned);
    }
}

TEST_F(poison, in_plenty_holds_up_nobody_for_ever) {
    for (const int status : {400, 500}) {
        to_ = {};
        for (int i = 0; i < 200; ++i) to_.refused_by[std::to_string(i)] = status;
        tracer_type tracer(options());
        deliver(tracer, 300);
        EXPECT_EQ(to_.stored.size(), 100U) << status;
        EXPECT_EQ(tracer.account().failed, 200U) << status;
    }
}

// All of the first batch is rejected: the server may be what is broken.
TEST_F(poison, alone_and_in_plenty_waits_until_another_is_accepted) {
    for (const int status : {400, 413, 422, 500}) {
        to_ = {};
        for (int i = 0; i < 100; ++i) to_.refused_by[std::to_string(i)] = status;
        tracer_type tracer(options());
        for (int i = 0; i < 100; ++i) static_cast<void>(tracer.start_trace(std::to_string(i)));
        EXPECT_FALSE(tracer.flush(50ms));
        EXPECT_EQ(tracer.account().failed, 0U) << status;
        static_cast<void>(tracer.start_trace("another"));
        ASSERT_TRUE(tracer.flush(60s));
        EXPECT_EQ(tracer.account().failed, 100U) << status;
        EXPECT_EQ(tracer.account().exported, 1U) << status;
    }
}

// With no other in its batch: the next one that waits shows that the server is well. What was accepted before does
// not, because a server may only store nothing new.
TEST_F(poison, alone_holds_up_nobody) {
    for (const int status : {400, 500}) {
        to_ = {};
        to_.refused_by = {{"poison", status}};
        tracer_type tracer(options());
        deliver(tracer, 1);
        for (int i = 1; i <= 3; ++i) {
            static_cast<void>(tracer.start_trace("poison"));
            EXPECT_FALSE(tracer.flush(20ms));
            EXPECT_EQ(tracer.account().failed, static_cast<unsigned>(i - 1));
            static_cast<void>(tracer.start_trace("good " + std::to_string(i)));
            ASSERT_TRUE(tracer.flush(60s));
            EXPECT_EQ(tracer.account().failed, static_cast<unsigned>(i));
            EXPECT_EQ(retry_of(tracer).take_rejected().size(), 1U);
        }
        deliver(tracer, 2);
        EXPECT_EQ(tracer.account().exported, 6U);
    }
}

// Nothing has ever been taken: the next one that waits shows that the server is well.
TEST_F(poison, that_comes_first_holds_up_nobody) {
    for (const int poisoned : {1, 3}) {
        to_ = {};
        to_.refused_by = {{"poison", 500}};
        auto chosen = options();
        chosen.exporter.max_batch_spans = 1;
        chosen.exporter.delay = 1ms;
        chosen.shutdown_timeout = 0ms;
        tracer_type tracer(chosen);
        for (int i = 0; i < poisoned; ++i) static_cast<void>(tracer.start_trace("poison"));
        EXPECT_FALSE(tracer.flush(100ms));
        EXPECT_EQ(tracer.account().failed, 0U) << "nothing shows that the server takes others";
        for (int i = 0; i < 3; ++i) static_cast<void>(tracer.start_trace(std::to_string(i)));
        ASSERT_TRUE(tracer.flush(60s));
        EXPECT_EQ(to_.stored.size(), 3U);
        EXPECT_EQ(tracer.account().exported, 3U);
        EXPECT_EQ(tracer.account().failed, static_cast<unsigned>(poisoned));
    }
}

TEST_F(poison, a_server_that_takes_nothing_is_not_asked_for_each_trace) {
    for (const int taken_before : {0, 1}) {
        to_ = {};
        auto chosen = options();
        chosen.exporter.exporter.first_wait = 1h;
        chosen.exporter.exporter.attempts_before_halving = 1;
        chosen.shutdown_timeout = 0ms;
        tracer_type tracer(chosen);
        deliver(tracer, taken_before);
        to_.broken_for = 1'000'000;
        for (int i = 0; i < 1000; ++i) static_cast<void>(tracer.start_trace(std::to_string(i)));
        EXPECT_FALSE(tracer.flush(200ms));
        EXPECT_EQ(tracer.account().queued, 1000U);
        const auto until = std::chrono::steady_clock::now() + 60s;
        while (tracer.last_error().message().empty() && std::chrono::steady_clock::now() < until)
            std::this_thread::sleep_for(1ms);
        EXPECT_LE(1'000'000 - to_.broken_for, 32 + taken_before);
    }
}

TEST_F(poison, is_kept_up_to_a_number) {
    for (int i = 0; i < 10; ++i) to_.refused_by[std::to_string(i)] = 400;
    auto chosen = options();
    chosen.exporter.exporter.keep_rejected = 3;
    tracer_type tracer(chosen);
    deliver(tracer, 20);
    EXPECT_EQ(tracer.account().failed, 10U);
    const auto rejected = retry_of(tracer).take_rejected();
    ASSERT_EQ(rejected.size(), 3U);
    EXPECT_EQ(rejected.back().trace.spans.at(0).name, "9") << "the latest";
}

TEST_F(poison, is_kept_up_to_an_amount_of_memory) {
    for (int i = 0; i < 10; ++i) to_.refused_by[std::to_string(i)] = 400;
    auto chosen = options();
    chosen.exporter.exporter.keep_rejected_bytes = 100'000;
    tracer_type tracer(chosen);
    for (int i = 0; i < 10; ++i)
        tracer.start_trace(std::to_string(i)).inputs(std::string(i == 5 ? 200'000 : 30'000, 'x'));
    static_cast<void>(tracer.start_trace("another"));
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().failed, 10U);
    const auto rejected = retry_of(tracer).take_rejected();
    ASSERT_EQ(rejected.size(), 3U) << "and not the one that takes more alone";
    EXPECT_EQ(rejected.front().trace.spans.at(0).name, "7");
    EXPECT_EQ(rejected.back().trace.spans.at(0).name, "9") << "the latest";
    tracer.start_trace("9").inputs(std::string(30'000, 'x'));
    static_cast<void>(tracer.start_trace("one more"));
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(retry_of(tracer).take_rejected().size(), 1U);
}

using slow_receiver = poison;

TEST_F(slow_receiver, is_sent_as_much_as_it_answers_to) {
    to_.most_spans = 60;
    tracer_type tracer(options());
    for (int round = 1; round <= 3; ++round) {
        deliver(tracer, 1000);
        EXPECT_EQ(tracer.account().exported, 1000U * static_cast<unsigned>(round));
    }
    EXPECT_EQ(to_.stored.size(), 1000U);
    EXPECT_LE(to_.requests, 3 * 1000 / 30) << "not one by one";
}

// A proxy, or the server's own supervisor, ends requests that take too long.
TEST_F(slow_receiver, behind_a_proxy_is_sent_as_much_as_that_waits_for) {
    to_.most_spans = 60;
    std::vector<mt::error> answers{mt::error(mt::error_kind::closed, {}, "closed")};
    for (const int status : {408, 429, 502, 503, 504})
        answers.push_back(mt::error(mt::error_kind::other, {}, std::to_string(status)).with_reply(status));
    for (const mt::error& answer : answers) {
        SCOPED_TRACE(answer.message());
        to_.too_many = answer;
        to_.requests = 0;
        to_.stored.clear();
        tracer_type tracer(options());
        deliver(tracer, 1000);
        EXPECT_EQ(tracer.account().exported, 1000U);
        EXPECT_EQ(to_.stored.size(), 1000U);
        EXPECT_LE(to_.requests, 1000 / 20);
    }
}

TEST_F(slow_receiver, is_sent_a_large_trace_in_parts) {
    to_.most_spans = 60;
    tracer_type tracer(options());
    {
        const auto root = tracer.start_trace("root");
        for (int i = 0; i < 500; ++i) const auto child = tracer.start_span("child " + std::to_string(i));
    }
    deliver(tracer, 10);
    EXPECT_EQ(tracer.account().exported, 511U);
    EXPECT_EQ(to_.stored.size(), 511U);
    EXPECT_LE(to_.requests, 511 / 20);
}

TEST(retry_after, is_read_as_seconds_and_as_a_date) {
    const auto asked = [](std::string text, std::string date = {}) {
        mt::http_response reply{503, {{"Retry-After", std::move(text)}}, {}};
        if (!date.empty()) reply.headers.push_back({"Date", date});
        return mt::detail::retry_after(reply);
    };
    EXPECT_EQ(asked("120"), 120s);
    EXPECT_EQ(asked("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:48:37 GMT"), 60s)
        << "by the server's clock";
    EXPECT_EQ(asked("Sun, 06 Nov 1994 08:49:37 GMT"), 0s) << "long ago";
    EXPECT_GT(asked("Fri, 31 Dec 2100 23:59:59 GMT"), std::chrono::hours(24));
    EXPECT_EQ(asked("soon"), 0s);
    EXPECT_EQ(asked("-5"), 0s);
}

} // namespace
