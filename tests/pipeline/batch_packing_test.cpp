// SPDX-License-Identifier: Apache-2.0
// What waits in a `batch` is packed meanwhile: it loses nothing, and no order.
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

struct sink {
    std::mutex lock;
    std::condition_variable opened;
    bool is_open = true;
    std::vector<std::string> names;
    std::size_t packed = 0;

    void open(bool opens) {
        const std::lock_guard guard(lock);
        is_open = opens;
        opened.notify_all();
    }
};

struct exporter_to {
    struct options {
        std::shared_ptr<sink> into{};
    };
    explicit exporter_to(options chosen) noexcept : into(std::move(chosen.into)) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        std::unique_lock guard(into->lock);
        into->opened.wait(guard, [this] { return into->is_open; });
        for (const mt::trace_data& trace : batch) {
            into->packed += trace.block ? 1U : 0U;
            for (const auto& span : mt::decode(trace).spans) into->names.push_back(span.name);
        }
        return {.exported_spans = batch.span_count()};
    }
    std::shared_ptr<sink> into;
};

template <std::size_t Senders = 1>
using tracer_to = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<exporter_to, Senders>>;

template <std::size_t Senders = 1>
typename tracer_to<Senders>::options options(const std::shared_ptr<sink>& into, std::size_t bytes,
                                             mt::when_full when) {
    return {.exporter = {.exporter = {into},
                         .max_queue_bytes = bytes,
                         .when_full = when,
                         .max_wait = 60s,
                         .max_batch_spans = 10,
                         .delay = 1ms,
                         .diagnostics = {.write = nullptr}}};
}

template <class Condition>
bool comes_true(const Condition& condition) {
    for (int i = 0; i < 6'000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(5ms);
    }
    return false;
}

TEST(packing, keeps_the_order) {
    const auto into = std::make_shared<sink>();
    into->open(false);
    tracer_to<> tracer(options(into, 1'000'000, mt::when_full::drop_newest));
    std::vector<std::string> names;
    for (int i = 0; i < 1'200; ++i) {
        names.push_back(std::to_string(i));
        tracer.start_trace(names.back()).end();
        // As fast as it is packed, or it would have no room. The pools may have an eighth of the limit.
        ASSERT_TRUE(comes_true([&] { return tracer.exporter().status().held_bytes < 800'000; }));
    }
    EXPECT_EQ(tracer.account().queued, 1'200U);
    into->open(true);
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(into->names, names);
    EXPECT_GT(into->packed, 500U);
}

TEST(packing, drops_the_oldest_where_that_is_wanted) {
    const auto into = std::make_shared<sink>();
    into->open(false);
    tracer_to<> tracer(options(into, 300'000, mt::when_full::drop_oldest));
    for (int i = 0; i < 3'000; ++i) tracer.start_trace(std::to_string(i)).end();
    const auto account = tracer.account();
    EXPECT_GT(account.dropped, 1'000U);
    EXPECT_GT(account.queued, 100U);
    EXPECT_EQ(account.dropped + account.queued, 3'000U);
    into->open(true);
    ASSERT_TRUE(tracer.flush(60s));
    ASSERT_EQ(into->names.size(), account.queued);
    EXPECT_EQ(into->names.back(), "2999");
    int before = -1;
    for (const std::string& name : into->names) {
        EXPECT_GT(std::stoi(name), before);
        before = std::stoi(name);
    }
}

template <std::size_t Senders>
void expect_all_to_arrive(mt::when_full when) {
    const auto into = std::make_shared<sink>();
    constexpr int threads = 8;
    constexpr int traces = 500;
    mt::span_account account;
    {
        tracer_to<Senders> tracer(options<Senders>(into, 100'000, when));
        std::vector<std::thread> recording;
        for (int thread = 0; thread < threads; ++thread)
            recording.emplace_back([&tracer, thread] {
                for (int i = 0; i < traces; ++i) {
                    auto trace = tracer.start_trace(std::to_string(thread * traces + i));
                    if (i % 50 == 0) trace.inputs(std::string(5'000, 'x'));
                    if (i % 100 == 0) tracer.flush(0ms);
                }
            });
        for (std::thread& thread : recording) thread.join();
        ASSERT_TRUE(tracer.flush(60s));
        account = tracer.account();
    }
    EXPECT_EQ(account.started, std::uint64_t{threads * traces});
    EXPECT_EQ(account.queued, 0U);
    EXPECT_EQ(account.exported + account.dropped, account.started);
    EXPECT_EQ(into->names.size(), account.exported);
    std::map<std::string, int> times;
    for (const std::string& name : into->names) ++times[name];
    EXPECT_EQ(times.size(), account.exported) << "each once";
    EXPECT_TRUE(when != mt::when_full::wait || account.dropped == 0);
}

TEST(packing, goes_along_with_one_sender) {
    for (const auto when : {mt::when_full::wait, mt::when_full::drop_newest, mt::when_full::drop_oldest})
        expect_all_to_arrive<1>(when);
}
TEST(packing, goes_along_with_several_senders) {
    for (const auto when : {mt::when_full::wait, mt::when_full::drop_newest, mt::when_full::drop_oldest})
        expect_all_to_arrive<3>(when);
}

// At the end what waits is dropped once, wherever it is.
TEST(packing, ends_with_the_tracer) {
    for (int round = 0; round < 20; ++round) {
        const auto into = std::make_shared<sink>();
        into->open(false);
        auto chosen = options(into, 100'000, mt::when_full::drop_oldest);
        chosen.exporter.shutdown_timeout = 0ms;
        chosen.shutdown_timeout = 0ms;
        std::thread opens;
        {
            tracer_to<> tracer(chosen);
            for (int i = 0; i < 200; ++i) tracer.start_trace("waits").end();
            opens = std::thread([into] { into->open(true); });
        }
        opens.join();
    }
}

// A limit that holds what is in the exporter's hands too leaves room for what comes next.
TEST(packing, an_exporter_does_not_take_the_whole_queue) {
    const auto into = std::make_shared<sink>();
    into->open(false);
    auto chosen = options(into, 100'000, mt::when_full::drop_oldest);
    chosen.exporter.max_batch_spans = 1'000'000;
    tracer_to<> tracer(chosen);
    for (int i = 0; i < 1'000; ++i) tracer.start_trace(std::to_string(i)).end();
    EXPECT_GT(tracer.exporter().status().waiting_spans, 5U);
    EXPECT_LE(tracer.exporter().status().held_bytes, 100'000U);
    into->open(true);
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(into->names.back(), "999");
}

} // namespace
