// SPDX-License-Identifier: Apache-2.0
// What `batch` does when it has no room, when its process forks, and when its exporter records by itself.
#include "support/sanitized.hpp"
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

struct gate {
    std::mutex closed;
    std::mutex lock;
    std::vector<std::string> names;
    std::function<void()> also;

    std::vector<std::string> arrived() {
        const std::lock_guard guard(lock);
        return names;
    }
};

struct gated_exporter {
    struct options {
        gate* into = nullptr;
    };
    explicit gated_exporter(options chosen) : into(chosen.into) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        const std::lock_guard open(into->closed);
        if (into->also) into->also();
        const std::lock_guard guard(into->lock);
        for (const mt::trace_data& trace : batch) into->names.push_back(mt::decode(trace).spans.at(0).name);
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    gate* into;
};

using gated_tracer = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<gated_exporter>>;

gated_tracer::options bounded(gate& into, mt::when_full when) {
    return {.exporter = {.exporter = {&into},
                         .max_queue_spans = 3,
                         .when_full = when,
                         .max_wait = 50ms,
                         .max_batch_spans = 1,
                         .delay = 0ms}};
}

void record(gated_tracer& tracer, const std::string& name) { static_cast<void>(tracer.start_trace(name)); }

// One trace in the hands of the exporter, which waits at the gate.
void fill_exporter(gated_tracer& tracer) {
    record(tracer, "in hand");
    while (tracer.account().queued != 1 || tracer.exporter().status().waiting_spans != 0)
        std::this_thread::sleep_for(1ms);
}

TEST(full_batch, keeps_what_came_first_and_tells) {
    gate gate;
    gate.closed.lock();
    gated_tracer tracer(bounded(gate, mt::when_full::drop_newest));
    fill_exporter(tracer);
    EXPECT_EQ(tracer.last_error().message(), "");
    for (int i = 0; i < 5; ++i) record(tracer, std::to_string(i));
    EXPECT_EQ(tracer.account().dropped, 2U);
    EXPECT_NE(tracer.last_error().message().find("2 spans were dropped so far; raise max_queue_spans"),
              std::string::npos);
    gate.closed.unlock();
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(gate.arrived(), (std::vector<std::string>{"in hand", "0", "1", "2"}));
    EXPECT_EQ(tracer.account().exported, 4U);
}

TEST(full_batch, keeps_what_came_last) {
    gate gate;
    gate.closed.lock();
    gated_tracer tracer(bounded(gate, mt::when_full::drop_oldest));
    fill_exporter(tracer);
    for (int i = 0; i < 5; ++i) record(tracer, std::to_string(i));
    EXPECT_EQ(tracer.account().dropped, 2U);
    gate.closed.unlock();
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(gate.arrived(), (std::vector<std::string>{"in hand", "2", "3", "4"}));
    const mt::span_account account = tracer.account();
    EXPECT_EQ(account.started, account.exported + account.dropped);
}

// What was dropped meanwhile is no reason to think that what is in the exporter's hands has arrived.
TEST(full_batch, flushes_what_came_before_although_newer_spans_were_dropped) {
    gate gate;
    gate.closed.lock();
    gated_tracer tracer(bounded(gate, mt::when_full::drop_oldest));
    fill_exporter(tracer);
    for (int i = 0; i < 20; ++i) record(tracer, std::to_string(i));
    EXPECT_FALSE(tracer.flush(20ms));
    gate.closed.unlock();
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(gate.arrived().size(), 4U);
}

TEST(full_batch, drops_nothing_else_for_a_trace_that_never_fits) {
    gate gate;
    gate.closed.lock();
    gated_tracer tracer(bounded(gate, mt::when_full::drop_oldest));
    fill_exporter(tracer);
    for (int i = 0; i < 3; ++i) record(tracer, std::to_string(i));
    {
        auto trace = tracer.start_trace("of four spans");
        for (int i = 0; i < 3; ++i) static_cast<void>(tracer.start_span("inner"));
    }
    EXPECT_EQ(tracer.account().dropped, 4U);
    gate.closed.unlock();
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(gate.arrived(), (std::vector<std::string>{"in hand", "0", "1", "2"}));
}

TEST(full_batch, does_not_wait_for_company_while_a_thread_waits_for_room) {
    gate gate;
    auto options = bounded(gate, mt::when_full::wait);
    options.exporter.max_wait = 60s;
    options.exporter.max_batch_spans = 1'000;
    options.exporter.delay = std::chrono::hours(1);
    gated_tracer tracer(options);
    for (int i = 0; i < 10; ++i) record(tracer, std::to_string(i));
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(gate.arrived().size(), 10U);
}

TEST(full_batch, lets_the_recording_thread_wait_so_long) {
    gate gate;
    gate.closed.lock();
    gated_tracer tracer(bounded(gate, mt::when_full::wait));
    fill_exporter(tracer);
    for (int i = 0; i < 3; ++i) record(tracer, std::to_string(i));
    const auto begin = std::chrono::steady_clock::now();
    record(tracer, "without room");
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms);
    EXPECT_EQ(tracer.account().dropped, 1U);
    gate.closed.unlock();
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, 4U);
}

TEST(full_batch, loses_nothing_where_there_is_time_to_wait) {
    gate gate;
    auto options = bounded(gate, mt::when_full::wait);
    options.exporter.max_wait = 60s;
    gated_tracer tracer(options);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread)
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) record(tracer, "waits");
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(gate.arrived().size(), 800U);
    EXPECT_EQ(tracer.account().dropped, 0U);
}

TEST(batch, does_not_feed_on_what_its_exporter_records) {
    gate gate;
    gated_tracer tracer(bounded(gate, mt::when_full::wait));
    bool flushed_itself = true;
    gate.also = [&] {
        record(tracer, "of the exporter");
        flushed_itself = tracer.flush(60s);
    };
    record(tracer, "of the application");
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_FALSE(flushed_itself) << "it cannot wait for itself";
    EXPECT_EQ(gate.arrived(), std::vector<std::string>{"of the application"});
    EXPECT_EQ(tracer.account().dropped, 1U);
}

// Writes a line `<process> <name>` for each span.
struct pipe_exporter {
    struct options {
        int to = -1;
    };
    explicit pipe_exporter(options chosen) : to(chosen.to) {}

    mt::export_result export_traces(mt::trace_batch& batch) const {
        mt::export_result outcome;
        for (const mt::trace_data& trace : batch)
            for (const auto& span : mt::decode(trace).spans) {
                const std::string line = std::to_string(getpid()) + " " + span.name + "\n";
                if (write(to, line.data(), line.size()) == static_cast<ssize_t>(line.size()))
                    ++outcome.exported_spans;
            }
        return outcome;
    }
    int to;
};

using piped_tracer = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<pipe_exporter>>;

// Records from a destructor that runs at the very end of a thread.
struct last_words {
    piped_tracer* tracer = nullptr;
    ~last_words() {
        if (tracer) static_cast<void>(tracer->start_trace("last words"));
    }
};

[[noreturn]] void run_child(piped_tracer& tracer, int number) {
    if (number % 2 == 0) { // else it exits without having recorded anything
        static_cast<void>(tracer.start_trace("child " + std::to_string(number)));
        std::thread([&] {
            static thread_local last_words at_thread_exit;
            at_thread_exit.tracer = &tracer;
        }).join();
    }
    std::exit(0); // with the destructors of everything static, the tracer's among them
}

// All that comes from that end, which it closes.
std::string text_from(int end) {
    std::string text;
    char piece[4096];
    for (ssize_t size = 0; (size = read(end, piece, sizeof piece)) > 0;)
        text.append(piece, static_cast<std::size_t>(size));
    close(end);
    return text;
}

TEST(forked_batch, delivers_for_each_process_its_own) {
    if (is_sanitized) GTEST_SKIP() << "in the child the sanitizer's locks stay as they are, that of malloc too";
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    // Static, as applications have it: the children destroy it as they exit.
    static auto* const keep = new std::unique_ptr<piped_tracer>;
    static struct at_exit {
        ~at_exit() { keep->reset(); }
    } const destroys_at_exit;
    static_cast<void>(destroys_at_exit);
    *keep = std::make_unique<piped_tracer>(
        piped_tracer::options{.exporter = {.exporter = {ends[1]}, .delay = std::chrono::hours(1)}});
    piped_tracer& tracer = **keep;

    constexpr int children = 100;
    std::map<std::string, int> expected;
    for (int number = 0; number < children; ++number) {
        const std::string name = "parent " + std::to_string(number);
        static_cast<void>(tracer.start_trace(name)); // waits in the queue while the child starts
        ++expected[std::to_string(getpid()) + " " + name];
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) run_child(tracer, number);
        int status = -1;
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (waitpid(child, &status, WNOHANG) == 0) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the child hangs";
            std::this_thread::sleep_for(1ms);
        }
        ASSERT_TRUE(WIFEXITED(status)) << status;
        EXPECT_EQ(WEXITSTATUS(status), 0);
        if (number % 2 == 0) {
            ++expected[std::to_string(child) + " child " + std::to_string(number)];
            ++expected[std::to_string(child) + " last words"];
        }
    }
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, static_cast<std::uint64_t>(children));
    keep->reset();
    close(ends[1]);

    const std::string text = text_from(ends[0]);
    std::map<std::string, int> arrived;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        ++arrived[text.substr(at, end - at)];
        at = end + 1;
    }
    EXPECT_EQ(arrived, expected);
}

TEST(forked_batch, leaves_spans_that_were_open_to_the_parent) {
    if (is_sanitized) GTEST_SKIP() << "in the child the sanitizer's locks stay as they are, that of malloc too";
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    piped_tracer tracer({.exporter = {.exporter = {ends[1]}, .delay = std::chrono::hours(1)}});
    auto root = tracer.start_trace("root");
    auto open = tracer.start_span("open");
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        static_cast<void>(tracer.start_span("of the child"));
        open.end();
        root.end();
        static_cast<void>(tracer.start_trace("all of the child"));
        const bool complete = tracer.flush(60s);
        const auto account = tracer.account();
        const bool is_right = account.started == 4 && account.exported == 4 && account.open == 0;
        _exit(complete && is_right ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    open.end();
    root.end();
    ASSERT_TRUE(tracer.flush(60s));
    close(ends[1]);
    const std::string from = std::to_string(child) + " ";
    const std::string own = std::to_string(getpid()) + " ";
    EXPECT_EQ(text_from(ends[0]),
              from + "of the child\n" + from + "all of the child\n" + own + "open\n" + own + "root\n");
}

struct exporter_of_its_own_kind {
    std::unique_ptr<int> not_to_be_copied{};
    mt::export_result export_traces(mt::trace_batch& batch) const { return {.exported_spans = batch.span_count()}; }
};

TEST(forked_batch, drops_and_tells_where_the_child_can_make_no_exporter) {
    if (is_sanitized) GTEST_SKIP() << "in the child the sanitizer's locks stay as they are, that of malloc too";
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<exporter_of_its_own_kind>> tracer;
    static_cast<void>(tracer.start_trace("parent"));
    ASSERT_TRUE(tracer.flush(60s));
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        static_cast<void>(tracer.start_trace("child"));
        const mt::span_account account = tracer.account();
        const bool is_told =
            tracer.last_error().message().find("create its tracer after the fork") != std::string::npos;
        _exit(account.started == 2 && account.exported == 1 && account.dropped == 1 && is_told ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(tracer.account().dropped, 0U);
}

} // namespace
