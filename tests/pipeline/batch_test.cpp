// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

// Shared with the exporter inside the batch: what came, and a gate that holds the background thread.
struct sink {
    std::mutex lock;
    std::condition_variable changed;
    std::vector<std::string> ids;
    std::vector<std::size_t> batches;
    bool open = true;
    bool throws = false;
    std::atomic<int> waiting{0};

    void set_open(bool now) {
        const std::lock_guard guard(lock);
        open = now;
        changed.notify_all();
    }
};

struct gated_exporter {
    struct options {
        std::shared_ptr<sink> into{};
    };
    explicit gated_exporter(options chosen) : into(std::move(chosen.into)) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        std::unique_lock guard(into->lock);
        ++into->waiting;
        into->changed.wait(guard, [&] { return into->open; });
        --into->waiting;
        if (into->throws) throw std::runtime_error("no route");
        for (const mt::trace_data& trace : batch) into->ids.emplace_back(trace.id.hex().view());
        into->batches.push_back(batch.size());
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    std::shared_ptr<sink> into;
};

using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<gated_exporter>>;

void expect_balanced(const mt::span_account& a) {
    EXPECT_EQ(a.started, a.exported + a.failed + a.dropped + a.queued + a.open);
}

TEST(batch, sends_after_the_delay_without_being_asked) {
    auto into = std::make_shared<sink>();
    tracer_type tracer({.exporter = {.exporter = {into}, .delay = 10ms}});
    {
        auto span = tracer.start_span("one");
    }
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (tracer.account().exported == 0 && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(1ms);
    EXPECT_EQ(tracer.account().exported, 1U);
}

TEST(batch, sends_when_there_is_enough) {
    auto into = std::make_shared<sink>();
    tracer_type tracer({.exporter = {.exporter = {into}, .max_batch_spans = 10, .delay = std::chrono::hours(1)}});
    for (int i = 0; i < 10; ++i) auto span = tracer.start_span("one of ten");
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (tracer.account().exported < 10 && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(1ms);
    EXPECT_EQ(tracer.account().exported, 10U);
}

TEST(batch, many_traces_go_in_few_calls) {
    auto into = std::make_shared<sink>();
    tracer_type tracer({.exporter = {.exporter = {into}, .max_batch_spans = 100, .delay = std::chrono::hours(1)}});
    into->set_open(false);
    for (int i = 0; i < 1000; ++i) auto span = tracer.start_span("span");
    into->set_open(true);
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(into->ids.size(), 1000U);
    EXPECT_LE(into->batches.size(), 12U);
    for (const std::size_t size : into->batches) EXPECT_LE(size, 100U);
}

TEST(batch, flush_gives_up_at_its_deadline_and_loses_nothing) {
    auto into = std::make_shared<sink>();
    tracer_type tracer({.exporter = {.exporter = {into}, .delay = 1ms}});
    into->set_open(false);
    {
        auto span = tracer.start_span("held");
    }
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(tracer.flush(50ms));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    EXPECT_EQ(tracer.account().queued, 1U);
    expect_balanced(tracer.account());
    into->set_open(true);
    EXPECT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.account().exported, 1U);
    EXPECT_TRUE(tracer.flush(0ms)) << "nothing to wait for";
}

TEST(batch, a_full_queue_drops_the_newest_and_counts_them) {
    auto into = std::make_shared<sink>();
    tracer_type tracer({.exporter = {.exporter = {into}, .max_queue_spans = 10, .max_batch_spans = 1, .delay = 0ms}});
    into->set_open(false);
    {
        auto span = tracer.start_span("in the exporter's hands");
    }
    while (into->waiting == 0) std::this_thread::sleep_for(1ms);
    for (int i = 0; i < 25; ++i) auto span = tracer.start_span("queued or dropped");
    EXPECT_EQ(tracer.account().dropped, 15U);
    expect_balanced(tracer.account());
    into->set_open(true);
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.account().exported, 11U);
    expect_balanced(tracer.account());
}

TEST(batch, is_bounded_by_memory_too) {
    auto into = std::make_shared<sink>();
    tracer_type tracer({.exporter = {.exporter = {into}, .max_queue_bytes = 10'000, .delay = std::chrono::hours(1)}});
    for (int i = 0; i < 20; ++i) tracer.start_span("large").inputs(std::string(1'000, 'x'));
    const auto account = tracer.account();
    EXPECT_GT(account.dropped, 13U) << "each takes more than 1,500 bytes";
    EXPECT_LT(account.dropped, 17U) << "and less than 3,000";
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.account().exported + tracer.account().dropped, 20U);
}

TEST(batch, what_the_exporter_throws_is_its_failure) {
    auto into = std::make_shared<sink>();
    into->throws = true;
    tracer_type tracer({.exporter = {.exporter = {into}}});
    {
        auto span = tracer.start_span("lost");
    }
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_EQ(tracer.last_error().message(), "no route");
    expect_balanced(tracer.account());
}

TEST(batch, shutdown_delivers_and_then_takes_nothing) {
    auto into = std::make_shared<sink>();
    tracer_type tracer({.exporter = {.exporter = {into}, .delay = std::chrono::hours(1)}});
    {
        auto span = tracer.start_span("in time");
    }
    auto late = tracer.start_span("late");
    EXPECT_TRUE(tracer.shutdown(10s));
    EXPECT_TRUE(tracer.shutdown(10s));
    late.end();
    EXPECT_EQ(tracer.account().exported, 1U);
    EXPECT_EQ(tracer.account().dropped, 1U);
    expect_balanced(tracer.account());
}

TEST(batch, the_destructor_delivers) {
    auto into = std::make_shared<sink>();
    {
        tracer_type tracer({.exporter = {.exporter = {into}, .delay = std::chrono::hours(1)}});
        for (int i = 0; i < 100; ++i) auto span = tracer.start_span("span");
    }
    EXPECT_EQ(into->ids.size(), 100U);
}

TEST(batch, nothing_is_lost_nor_doubled_between_threads) {
    auto into = std::make_shared<sink>();
    constexpr std::size_t threads = 8;
    const char* const wanted = std::getenv("MLFLOW_TRACE_STRESS_TRACES"); // for a long run by hand
    const std::size_t traces = wanted ? std::strtoul(wanted, nullptr, 10) : 2'000;
    tracer_type tracer({.exporter = {.exporter = {into},
                                     .when_full = mt::when_full::wait,
                                     .max_wait = 60s,
                                     .max_batch_spans = 64,
                                     .delay = 1ms}});
    {
        std::vector<std::thread> producers;
        for (std::size_t t = 0; t < threads; ++t)
            producers.emplace_back([&] {
                for (std::size_t i = 0; i < traces; ++i) {
                    auto root = tracer.start_trace("root", mt::user{"user-1"});
                    auto child = tracer.start_span("child");
                    child.inputs(mt::arg("i", i));
                }
            });
        for (auto& producer : producers) producer.join();
    }
    ASSERT_TRUE(tracer.flush(600s));
    const auto account = tracer.account();
    EXPECT_EQ(account.exported, 2 * threads * traces);
    EXPECT_EQ(account.started, account.exported);
    EXPECT_EQ(into->ids.size(), threads * traces);
    EXPECT_EQ(std::set<std::string>(into->ids.begin(), into->ids.end()).size(), threads * traces);
}

TEST(batch, several_senders_export_at_once_and_lose_nothing) {
    auto into = std::make_shared<sink>();
    into->set_open(false);
    constexpr std::size_t senders = 3;
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<gated_exporter, senders>> tracer(
        {.exporter = {.exporter = {into}, .max_batch_spans = 1, .delay = 0ms}});
    constexpr std::size_t traces = 200;
    for (std::size_t i = 0; i < traces; ++i) auto span = tracer.start_span("one");
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (into->waiting != senders && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
    EXPECT_EQ(into->waiting, int{senders});
    EXPECT_FALSE(tracer.flush(1ms));
    EXPECT_EQ(tracer.account().queued, traces);
    into->set_open(true);
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, traces);
    expect_balanced(tracer.account());
    EXPECT_EQ(std::set(into->ids.begin(), into->ids.end()).size(), traces);
    EXPECT_NE(&tracer.exporter().exporter(0), &tracer.exporter().exporter(senders - 1));
}

TEST(batch, without_end_is_a_time_too) {
    auto into = std::make_shared<sink>();
    constexpr auto ever = std::chrono::milliseconds::max();
    tracer_type tracer({.exporter = {.exporter = {into},
                                     .max_queue_spans = 1,
                                     .when_full = mt::when_full::wait,
                                     .max_wait = ever,
                                     .delay = ever,
                                     .shutdown_timeout = ever},
                        .shutdown_timeout = ever});
    for (int i = 0; i < 3; ++i) auto span = tracer.start_span("one");
    EXPECT_TRUE(tracer.flush(ever));
    EXPECT_EQ(tracer.account().exported, 3U);
}

struct lines {
    std::mutex lock;
    std::vector<std::string> all;

    static void write(void* context, std::string_view line) noexcept {
        auto& self = *static_cast<lines*>(context);
        const std::lock_guard guard(self.lock);
        self.all.emplace_back(line);
    }
};

TEST(batch, says_what_is_wrong_in_a_line_and_not_too_often) {
    auto into = std::make_shared<sink>();
    into->throws = true;
    lines said;
    {
        tracer_type tracer(
            {.exporter = {
                 .exporter = {into},
                 .diagnostics = {.write = &lines::write, .context = &said, .interval = std::chrono::hours(1)}}});
        for (int i = 0; i < 3; ++i) {
            auto span = tracer.start_span("one");
            span.end();
            EXPECT_TRUE(tracer.flush(60s));
        }
    }
    EXPECT_EQ(said.all, std::vector<std::string>{"mlflow_trace: batch: 1 spans were not delivered: no route\n"});
}

TEST(batch, tells_how_long_the_oldest_waits) {
    auto into = std::make_shared<sink>();
    tracer_type tracer({.exporter = {.exporter = {into}, .delay = std::chrono::hours(1)}});
    EXPECT_EQ(tracer.exporter().status().oldest_waits, 0ms);
    {
        auto span = tracer.start_span("one");
    }
    std::this_thread::sleep_for(20ms);
    const auto status = tracer.exporter().status();
    EXPECT_EQ(status.waiting_spans, 1U);
    EXPECT_GE(status.oldest_waits, 20ms);
}

} // namespace
