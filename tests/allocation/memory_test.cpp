// SPDX-License-Identifier: Apache-2.0
// How much memory is held, counted exactly: the limit of a queue is one on memory, and a burst is given back.
#include "counted_malloc.hpp"
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#ifdef MALLOC_IS_COUNTED

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using counted_malloc::held_bytes;

constexpr long MiB = 1024 * 1024;

// Comes back when the gate is open.
struct gated_exporter {
    struct options {
        std::mutex* gate = nullptr;
    };
    explicit gated_exporter(options chosen) noexcept : gate(chosen.gate) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        const std::lock_guard open(*gate);
        return {.exported_spans = batch.span_count()};
    }
    std::mutex* gate;
};
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<gated_exporter>>;

template <class Condition>
bool comes_true(const Condition& condition) {
    for (int i = 0; i < 3'000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

struct load {
    const char* name;
    std::vector<std::size_t> texts; // of each trace in turn, in each of its spans
    int spans = 1;                  // of a trace
    int threads = 1;

    friend std::ostream& operator<<(std::ostream& out, const load& shown) { return out << shown.name; }

    [[nodiscard]] std::size_t largest() const { return *std::max_element(texts.begin(), texts.end()); }
};

void record(tracer_type& tracer, const std::string& text, int spans) {
    auto trace = tracer.start_trace("chat", mt::user{"user-1042"}, mt::session{"session-7"});
    trace.attribute("text", text);
    for (int i = 1; i < spans; ++i) tracer.start_span("inner").attribute("text", text);
}

// By all threads, until so many bytes have been recorded. Returns the most that was held meanwhile.
long record_all(tracer_type& tracer, const load& what, std::size_t bytes) {
    std::vector<std::string> texts;
    for (const std::size_t size : what.texts) texts.emplace_back(size, 'x');
    std::atomic<std::size_t> left{bytes};
    std::atomic<long> most{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < what.threads; ++i)
        threads.emplace_back([&] {
            for (std::size_t turn = 0;; ++turn) {
                const std::string& text = texts[turn % texts.size()];
                record(tracer, text, what.spans);
                const long held = held_bytes.load();
                for (long seen = most.load(); seen < held && !most.compare_exchange_weak(seen, held);) {
                }
                // What a small one holds at least, too.
                const std::size_t recorded = (text.size() + 500) * static_cast<std::size_t>(what.spans);
                if (std::size_t before = left.fetch_sub(recorded); before <= recorded || before > bytes) return;
            }
        });
    for (std::thread& thread : threads) thread.join();
    return most.load();
}

class full_queue : public testing::TestWithParam<load> {};

TEST_P(full_queue, holds_what_its_limit_says) {
    constexpr long limit = 64 * MiB; // the default
    std::mutex gate;
    const long before = held_bytes.load();
    gate.lock();
    auto tracer = std::make_unique<tracer_type>(tracer_type::options{
        .exporter = {.exporter = {&gate}, .max_queue_spans = 10'000'000, .diagnostics = {.write = nullptr}}});
    const long most = record_all(*tracer, GetParam(), std::size_t{limit} * 3 / 2) - before;
    const auto status = tracer->exporter().status();
    EXPECT_GT(status.dropped_spans, 0U);
    EXPECT_LE(status.held_bytes, std::size_t{limit});
    // What is open on each thread comes on top, in blocks of up to twice its size.
    const long open = 2L * GetParam().threads * GetParam().spans * static_cast<long>(GetParam().largest() + 1'500);
    EXPECT_LE(most, limit * 11 / 10 + open);
    EXPECT_TRUE(comes_true([&] { return held_bytes.load() - before <= limit * 11 / 10; }))
        << held_bytes.load() - before;
    EXPECT_GE(held_bytes.load() - before, limit * 7 / 10);
    gate.unlock();
    EXPECT_TRUE(tracer->flush(60s));
    const auto account = tracer->account();
    EXPECT_EQ(account.started, account.exported + account.dropped);
    tracer.reset();
    EXPECT_LE(held_bytes.load() - before, 12 * MiB) << "the small objects that contexts may look at";
}

INSTANTIATE_TEST_SUITE_P(loads, full_queue,
                         testing::Values(load{"small_traces", {100}}, load{"small_traces_of_8", {100}, 1, 8},
                                         load{"of_1_KB", {1'000}}, load{"of_1_KB_of_8", {1'000}, 1, 8},
                                         load{"of_10_KB", {10'000}}, load{"of_10_KB_of_8", {10'000}, 1, 8},
                                         load{"of_100_KB", {100'000}}, load{"of_100_KB_of_8", {100'000}, 1, 8},
                                         load{"of_1_MB", {1'000'000}}, load{"of_1_MB_of_8", {1'000'000}, 1, 8},
                                         load{"large_traces", {100}, 1'000},
                                         load{"large_traces_of_8", {1'000}, 200, 8},
                                         load{"mixed", {100, 30'000, 100, 100, 1'000, 100, 200'000}},
                                         load{"mixed_of_8", {100, 30'000, 100, 100, 1'000, 100, 200'000}, 3, 8}),
                         [](const auto& chosen) { return std::string(chosen.param.name); });

// Where every object of the pool has had a large text, a small trace would hold as much.
TEST(small_traces, are_packed_while_they_wait) {
    std::mutex gate;
    tracer_type tracer(
        {.exporter = {.exporter = {&gate}, .max_queue_bytes = 32U * MiB, .diagnostics = {.write = nullptr}}});
    gate.lock();
    for (int i = 0; i < 400; ++i) record(tracer, std::string(50'000, 'x'), 1);
    gate.unlock();
    ASSERT_TRUE(tracer.flush(60s));
    gate.lock();
    for (int i = 0; i < 20'000; ++i) {
        record(tracer, "small", 1);
        if (i % 100 != 0) continue; // as fast as the thread that packs
        ASSERT_TRUE(comes_true([&] { return tracer.exporter().status().held_bytes < 20U * MiB; }));
    }
    EXPECT_EQ(tracer.account().dropped, 0U);
    EXPECT_GE(tracer.exporter().status().waiting_spans, 18'000U);
    gate.unlock();
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, 20'400U);
}

// One trace of many small spans in large blocks.
TEST(small_traces, are_not_too_large_for_the_blocks_that_they_are_in) {
    std::mutex gate;
    tracer_type tracer(
        {.exporter = {.exporter = {&gate}, .max_queue_bytes = 32U * MiB, .diagnostics = {.write = nullptr}}});
    for (int i = 0; i < 2; ++i) record(tracer, std::string(50'000, 'x'), 400);
    ASSERT_TRUE(tracer.flush(60s));
    record(tracer, "small", 1'000);
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().dropped, 0U);
    EXPECT_EQ(tracer.account().exported, 1'800U);
}

// The trace by which `retry` asks whether the receiver takes anything stays.
TEST(large_traces, are_not_kept_by_retry) {
    struct taking_exporter {
        mt::export_result export_traces(mt::trace_batch& batch) { return {.exported_spans = batch.span_count()}; }
    };
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<taking_exporter>>> tracer;
    tracer.start_trace("small").end();
    ASSERT_TRUE(tracer.flush(60s));
    const long before = held_bytes.load();
    tracer.start_trace("large").inputs(std::string(20'000'000, 'x'));
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_LE(held_bytes.load() - before, 1 * MiB);
}

TEST(large_traces, leave_no_large_buffers_in_an_exporter) {
    const std::string path = testing::TempDir() + "large_traces.jsonl";
    {
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::json_lines_exporter> tracer(
            {.exporter = {.path = path}});
        tracer.start_trace("small").end();
        const long before = held_bytes.load();
        tracer.start_trace("large").inputs(std::string(20'000'000, 'x'));
        EXPECT_LE(held_bytes.load() - before, 1 * MiB);
        EXPECT_EQ(tracer.account().exported, 2U);
    }
    std::remove(path.c_str());
}

tracer_type::options without_limit(std::mutex& gate) {
    return {.exporter = {.exporter = {&gate}, .max_queue_bytes = 1024U * MiB, .max_queue_spans = 10'000'000}};
}

TEST(burst, goes_back_when_it_is_over) {
    std::mutex gate;
    tracer_type tracer(without_limit(gate));
    record(tracer, "first", 1);
    ASSERT_TRUE(tracer.flush(60s));
    const long before = held_bytes.load();
    gate.lock();
    record_all(tracer, {"burst", {100, 1'000, 10'000}, 4, 4}, 150U * MiB);
    EXPECT_GE(held_bytes.load() - before, 120 * MiB);
    gate.unlock();
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_TRUE(comes_true([&] { return held_bytes.load() - before <= 16 * MiB; })) << held_bytes.load() - before;
}

TEST(burst, of_open_traces_goes_back) {
    std::mutex gate;
    const long before = held_bytes.load();
    {
        tracer_type tracer(without_limit(gate));
        record(tracer, std::string(1'000, 'x'), 50'000);
        EXPECT_GE(held_bytes.load() - before, 50 * MiB);
        ASSERT_TRUE(tracer.flush(60s));
    }
    EXPECT_LE(held_bytes.load() - before, 12 * MiB) << "objects of 168 bytes, 50,000 of which were open at once";
}

} // namespace

#endif
