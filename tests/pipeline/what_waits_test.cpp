// SPDX-License-Identifier: Apache-2.0
// What still waits when a flush or a destructor gives up is said, with counts and the true reason.
#include "support/spool_folder.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

struct lines {
    std::mutex lock;
    std::string text;

    [[nodiscard]] std::string all() {
        const std::lock_guard guard(lock);
        return text;
    }
    mt::diagnostics to() {
        return {.write =
                    [](void* context, std::string_view line) noexcept {
                        auto& self = *static_cast<lines*>(context);
                        const std::lock_guard guard(self.lock);
                        self.text += line;
                    },
                .context = this};
    }
};

// Answers after `takes`, with that error, or delivers.
struct receiver {
    std::atomic<int> milliseconds{0};
    std::string error{};
    std::atomic<int> taken{0};
};

struct slow_exporter {
    struct options {
        receiver* to = nullptr;
    };
    explicit slow_exporter(options chosen) : to(chosen.to) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(to->milliseconds);
        while (std::chrono::steady_clock::now() < until && !is_interrupted) std::this_thread::sleep_for(1ms);
        if (!to->error.empty())
            return {.failed_spans = batch.span_count(),
                    .error = mt::error(mt::error_kind::connect, {}, to->error),
                    .retryable = true};
        to->taken += static_cast<int>(batch.span_count());
        return {.exported_spans = batch.span_count()};
    }
    void interrupt() noexcept { is_interrupted = true; }

    receiver* to;
    std::atomic<bool> is_interrupted{false};
};

using retrying = mt::batch<mt::retry<slow_exporter>>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, retrying>;

tracer_type::options to(receiver& into, lines& said) {
    return {.exporter =
                {.exporter = {.exporter = {&into}, .first_wait = 1ms, .longest_wait = 1ms, .diagnostics = {nullptr}},
                 .max_batch_spans = 1,
                 .delay = 1ms,
                 .shutdown_timeout = 50ms,
                 .diagnostics = said.to()},
            .shutdown_timeout = 50ms};
}

template <class Tracer>
void record(Tracer& tracer, int count) {
    for (int i = 0; i < count; ++i) static_cast<void>(tracer.start_trace("chat"));
}

void expect_said(const std::string& text, std::string_view part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(what_waits, for_a_server_that_is_away_is_said_with_its_error) {
    receiver away{.error = "no route to host"};
    lines said;
    {
        tracer_type tracer(to(away, said));
        record(tracer, 5);
        EXPECT_FALSE(tracer.flush(100ms));
        EXPECT_EQ(tracer.last_error().message(), "batch: 5 spans are still queued: no route to host");
        expect_said(said.all(), "batch: 5 spans are still queued: no route to host\n");
    }
    expect_said(said.all(), "batch: 5 spans were not delivered before the deadline: no route to host\n");
}

TEST(what_waits, for_a_server_that_does_not_answer_is_said) {
    receiver hanging{.milliseconds = 60'000};
    lines said;
    {
        tracer_type tracer(to(hanging, said));
        record(tracer, 5);
        EXPECT_FALSE(tracer.flush(100ms));
        EXPECT_EQ(tracer.last_error().message(),
                  "batch: 5 spans are still queued: the exporter has not returned yet");
    }
    expect_said(said.all(), "batch: 5 spans were not delivered before the deadline: the exporter has not returned");
}

TEST(what_waits, for_a_slow_server_is_said_with_what_came_through) {
    receiver slow{.milliseconds = 20};
    lines said;
    tracer_type tracer(to(slow, said));
    record(tracer, 20);
    EXPECT_FALSE(tracer.flush(100ms));
    const std::string error = tracer.last_error().message();
    expect_said(error, " spans are still queued: the receiver is slow: it accepted ");
    expect_said(error, " spans during the flush; use a longer deadline");
    slow.milliseconds = 0;
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.last_error().message(), "") << "nothing waits any more";
    EXPECT_EQ(slow.taken, 20);
}

TEST(what_waits, is_not_said_where_nothing_does) {
    receiver good;
    lines said;
    {
        tracer_type tracer(to(good, said));
        record(tracer, 20);
        EXPECT_TRUE(tracer.flush(60s));
        EXPECT_EQ(tracer.last_error().message(), "");
    }
    EXPECT_EQ(said.all(), "");
}

TEST(what_waits, is_said_at_the_end_although_there_was_another_line) {
    receiver away{.error = "no route to host"};
    lines said;
    std::optional<tracer_type> tracer(std::in_place, to(away, said));
    record(*tracer, 3);
    EXPECT_FALSE(tracer->flush(20ms));
    EXPECT_FALSE(tracer->flush(20ms));
    const std::string before = said.all();
    EXPECT_EQ(before.find("still queued"), before.rfind("still queued")) << "once in the interval: " << before;
    tracer.reset();
    expect_said(said.all(), "batch: 3 spans were not delivered before the deadline: no route to host\n");
}

TEST(what_waits, for_an_answer_of_mlflow_is_said_with_how_long) {
    auto side = std::make_shared<mt::memory_server>();
    std::atomic<bool> hangs{true};
    std::atomic<bool> is_hanging{false};
    side->answer_with([&](const auto& request) -> mt::memory_server::reply {
        if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (request.target != "/v1/traces")
            return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
        for (is_hanging = true; hangs;) std::this_thread::sleep_for(1ms);
        return mt::http_response{200, {}, {}};
    });
    lines said;
    using to_mlflow = mt::retry<mt::mlflow_exporter<mt::memory_transport>>;
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<to_mlflow>> tracer(
        {.exporter = {.exporter = {.exporter = {.transport = {side}}}, .delay = 1ms, .diagnostics = said.to()}});
    record(tracer, 1);
    while (!is_hanging) std::this_thread::sleep_for(1ms);
    EXPECT_FALSE(tracer.flush(0ms));
    expect_said(tracer.last_error().message(),
                "batch: 1 spans are still queued: the server has not responded to 1 spans for ");
    hangs = false;
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.last_error().message(), "");
}

// Spans of a trace count as exported when its request ID is there too, which takes a request for each.
TEST(what_waits, for_request_ids_is_said_with_how_many_and_how_fast) {
    auto side = std::make_shared<mt::memory_server>();
    std::atomic<int> allowed{10};
    side->answer_with([&](const auto& request) -> mt::memory_server::reply {
        if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (request.target == "/v1/traces") return mt::http_response{200, {}, {}};
        if (request.target != "/api/3.0/mlflow/traces")
            return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
        while (--allowed < 0) std::this_thread::sleep_for(1ms);
        const auto id = request.body.find("\"tr-");
        return mt::http_response{
            200, {}, R"({"trace":{"trace_info":{"trace_id":)" + request.body.substr(id, 37) + "}}}"};
    });
    lines said;
    using to_mlflow = mt::retry<mt::mlflow_exporter<mt::memory_transport>>;
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<to_mlflow>> tracer(
        {.exporter = {.exporter = {.exporter = {.transport = {side}, .info_connections = 1}},
                      .delay = std::chrono::hours(1),
                      .diagnostics = said.to()}});
    for (int i = 0; i < 30; ++i) {
        auto trace = tracer.start_trace("chat");
        trace.set(mt::client_request_id::parse("r-" + std::to_string(i)).value());
    }
    const auto before = tracer.exporter().status().progress;
    std::thread flushing([&] { tracer.flush(0ms); });
    while (allowed >= 0) std::this_thread::sleep_for(1ms);
    flushing.join();
    EXPECT_GT(tracer.exporter().status().progress, before) << "no span counts as exported yet, and yet something is";
    EXPECT_EQ(tracer.account().exported, 0U);
    expect_said(tracer.last_error().message(),
                "batch: 30 spans are still queued: request IDs and metadata of 20 traces are still to be sent, ");
    expect_said(tracer.last_error().message(), "/s");
    allowed = 1000;
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, 30U);
    EXPECT_EQ(tracer.last_error().message(), "");
}

// ---- Why spans were dropped.

TEST(dropped, because_a_trace_is_larger_than_the_queue_says_so) {
    receiver good;
    lines said;
    auto options = to(good, said);
    options.exporter.max_queue_bytes = 10'000;
    tracer_type tracer(options);
    {
        auto trace = tracer.start_trace("large");
        trace.inputs(std::string(20'000, 'x'));
    }
    EXPECT_EQ(tracer.account().dropped, 1U);
    EXPECT_EQ(tracer.last_error().message(),
              "batch: a trace was larger than the whole queue, so 1 spans were dropped so far; raise "
              "max_queue_spans and max_queue_bytes, or record less in one trace");
    expect_said(said.all(), "a trace was larger than the whole queue");
    EXPECT_EQ(said.all().find("was full"), std::string::npos) << said.all();
}

TEST(dropped, after_the_shutdown_says_so) {
    receiver good;
    lines said;
    mt::tracer<mt::open_schema, mt::explicit_context, mt::detail::collecting_exporter> recorded;
    for (int i = 0; i < 2; ++i) recorded.start_trace("chat").end();
    retrying batch(to(good, said).exporter);
    EXPECT_TRUE(batch.shutdown(std::chrono::steady_clock::now() + 60s));
    batch.export_traces(recorded.exporter().collected);
    EXPECT_EQ(batch.account().dropped, 2U);
    EXPECT_EQ(
        batch.last_error().message(),
        "batch: 2 spans were dropped because they ended after the shutdown or were recorded by the exporter itself");
}

// ---- On the disk.

class waiting_spool : public spool_testing::in_a_folder {
protected:
    using spooling = mt::tracer<mt::open_schema, mt::thread_local_context, mt::spool<slow_exporter>>;

    spooling::options to(receiver& into, lines& said) {
        return {.exporter = {.exporter = {&into},
                             .folder = folder,
                             .delay = 1ms,
                             .first_wait = 1ms,
                             .longest_wait = 1ms,
                             .shutdown_timeout = 50ms,
                             .diagnostics = said.to()},
                .shutdown_timeout = 50ms};
    }
};

TEST_F(waiting_spool, says_what_waits_and_why) {
    receiver away{.error = "no route to host"};
    lines said;
    spooling tracer(to(away, said));
    record(tracer, 5);
    EXPECT_FALSE(tracer.flush(100ms));
    EXPECT_EQ(tracer.last_error().message(), "spool: 5 spans are waiting in the folder: no route to host");
    expect_said(said.all(), " spans are waiting in the folder: no route to host\n");
}

TEST_F(waiting_spool, says_at_its_end_what_it_leaves_and_why) {
    receiver away{.error = "no route to host"};
    lines said;
    {
        spooling tracer(to(away, said));
        record(tracer, 5);
    }
    expect_said(said.all(), "spool: at shutdown, 5 spans are waiting in the folder: no route to host\n");
    away.error.clear();
    lines of_the_second;
    {
        spooling tracer(to(away, of_the_second));
        record(tracer, 5);
        EXPECT_TRUE(tracer.flush(60s));
        EXPECT_TRUE(tracer.exporter().recover(std::chrono::steady_clock::now() + 60s));
    }
    EXPECT_EQ(of_the_second.all(), "");
}

TEST_F(waiting_spool, counts_what_an_earlier_process_left) {
    receiver away{.error = "no route to host"};
    lines of_the_first, of_the_second;
    {
        spooling first(to(away, of_the_first));
        record(first, 5);
    }
    spooling second(to(away, of_the_second));
    for (int i = 0; i < 1000 && of_the_second.all().empty(); ++i) std::this_thread::sleep_for(5ms);
    expect_said(of_the_second.all(), " bytes left by another process are waiting in the folder: no route to host\n");
    EXPECT_EQ(of_the_second.all().find("0 spans"), std::string::npos) << of_the_second.all();
}

} // namespace
