// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter>;

TEST(capture, a_bound_function_works_inside_the_span_it_was_bound_in) {
    tracer_type tracer;
    mt::span_id parent;
    {
        auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::session{"s"});
        auto span = tracer.start_span("hands over");
        parent = span.id();
        auto done = std::async(std::launch::async, mt::bind([&tracer](int n) {
                                   auto inside = tracer.start_span("on another thread");
                                   return n + 1;
                               }),
                               41);
        EXPECT_EQ(done.get(), 42);
        auto after = tracer.start_span("after");
        EXPECT_EQ(after.trace_id(), trace.trace_id());
    }
    const auto trace = tracer.exporter().take().at(0);
    ASSERT_EQ(trace.spans.size(), 4U);
    EXPECT_EQ(trace.find("on another thread")->parent, parent);
    EXPECT_EQ(tracer.account().open, 0U);
}

TEST(capture, works_after_the_span_and_its_trace_have_ended) {
    tracer_type tracer;
    std::function<void()> later;
    mt::trace_id id;
    {
        const auto scope = tracer.scope(mt::user{"user-1"}, mt::session{"s"});
        auto span = tracer.start_span("root");
        id = span.trace_id();
        later = mt::bind([&tracer] {
            auto inside = tracer.start_span("later");
            auto own = tracer.start_trace("own", mt::user{"user-2"}, mt::no_session);
        });
    }
    std::thread(later).join();
    later();
    later = nullptr;
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 5U);
    int late = 0;
    for (const auto& trace : traces)
        if (!trace.has_root) {
            ++late;
            EXPECT_EQ(trace.id, id);
            EXPECT_EQ(trace.spans.at(0).parent, traces.at(0).root()->id);
        } else if (trace.root()->name == "own") {
            EXPECT_EQ(trace.metadata["mlflow.trace.user"], "user-2");
        }
    EXPECT_EQ(late, 2);
    EXPECT_EQ(tracer.account().open, 0U);
    EXPECT_FALSE(mt::current_trace_id().valid());
}

TEST(capture, carries_scopes) {
    tracer_type tracer;
    std::function<void()> work;
    {
        const auto scope = tracer.scope(mt::user{"user-1"}, mt::session{"outer"});
        const auto inner = tracer.scope(mt::session{"inner"});
        work = mt::bind([&tracer] { auto span = tracer.start_span("in the pool"); });
    }
    std::thread(work).join();
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_EQ(trace.metadata["mlflow.trace.user"], "user-1");
    EXPECT_EQ(trace.metadata["mlflow.trace.session"], "inner");
}

TEST(capture, of_nothing_hides_what_is_current_where_it_is_attached) {
    tracer_type tracer;
    const auto nothing = mt::capture();
    auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::session{"s"});
    {
        const auto attached = nothing.attach();
        EXPECT_FALSE(mt::current_trace_id().valid());
    }
    EXPECT_EQ(mt::current_trace_id(), trace.trace_id());
}

TEST(capture, of_what_is_not_recorded_records_nothing) {
    tracer_type tracer;
    std::function<void()> work;
    {
        const auto off = tracer.untraced();
        work = mt::bind([&tracer] { auto span = tracer.start_span("hidden"); });
    }
    std::thread(work).join();
    EXPECT_TRUE(tracer.exporter().take().empty());
}

TEST(capture, of_an_untraced_part_keeps_traces_of_their_own_out_too) {
    tracer_type tracer;
    std::function<void()> work;
    {
        const auto off = tracer.untraced();
        work = mt::bind([&tracer] { auto own = tracer.start_trace("hidden", mt::user{"u"}, mt::no_session); });
    }
    std::thread(work).join();
    EXPECT_TRUE(tracer.exporter().take().empty());
}

TEST(capture, works_on_the_same_thread_inside_an_untraced_part) {
    tracer_type tracer;
    auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::no_session);
    const auto work = mt::bind([&tracer] { return tracer.start_span("work").trace_id(); });
    const auto off = tracer.untraced();
    auto copy = work;
    EXPECT_EQ(copy(), trace.trace_id());
    EXPECT_FALSE(tracer.start_span("off").recording());
}

TEST(capture, carries_the_innermost_span_of_each_tracer) {
    tracer_type first;
    tracer_type second;
    auto of_first = first.start_trace("first", mt::user{"user-1"}, mt::no_session);
    auto of_second = second.start_trace("second", mt::user{"user-2"}, mt::no_session);
    std::thread(mt::bind([&] {
        EXPECT_EQ(first.start_span("inside").trace_id(), of_first.trace_id());
        EXPECT_EQ(second.start_span("inside").trace_id(), of_second.trace_id());
        EXPECT_EQ(mt::current_trace_id(), of_second.trace_id());
    })).join();
}

// A tracer that begins where another one ended, at the same address perhaps, is another tracer.
TEST(capture, scopes_of_a_tracer_that_is_gone_are_nothing_to_the_next) {
    mt::captured_context<> captured;
    for (int i = 0; i < 100; ++i) {
        tracer_type tracer;
        {
            const auto attached = captured.attach();
            auto span = tracer.start_span("span");
        }
        EXPECT_FALSE(tracer.exporter().take().at(0).metadata.contains("mlflow.trace.user"));
        const auto scope = tracer.scope(mt::user{"user of another tracer"});
        captured = mt::capture();
    }
}

// A pool of threads that take whatever comes first.
class pool {
public:
    explicit pool(int size) {
        for (int i = 0; i < size; ++i) threads_.emplace_back([this] { work(); });
    }
    ~pool() {
        {
            const std::lock_guard guard(lock_);
            closed_ = true;
        }
        changed_.notify_all();
        for (auto& thread : threads_) thread.join();
    }
    void post(std::function<void()> task) {
        {
            const std::lock_guard guard(lock_);
            tasks_.push_back(std::move(task));
        }
        changed_.notify_one();
    }

private:
    void work() {
        for (;;) {
            std::unique_lock guard(lock_);
            changed_.wait(guard, [&] { return closed_ || !tasks_.empty(); });
            if (tasks_.empty()) return;
            auto task = std::move(tasks_.front());
            tasks_.pop_front();
            guard.unlock();
            task();
        }
    }
    std::mutex lock_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> tasks_;
    bool closed_ = false;
    std::vector<std::thread> threads_;
};

// 64 sessions, each turn of which goes through several tasks: no span with another's user, session or parent.
TEST(capture, interleaved_sessions_on_a_pool_keep_apart) {
    constexpr int sessions = 64;
    const char* const wanted = std::getenv("MLFLOW_TRACE_STRESS_TURNS"); // for a long run by hand
    const int turns = wanted ? std::atoi(wanted) : 50;
    tracer_type tracer;
    {
        pool threads(8);
        for (int turn = 0; turn < turns; ++turn)
            for (int s = 0; s < sessions; ++s)
                threads.post([&tracer, &threads, s] {
                    const auto name = std::to_string(s);
                    auto root = tracer.start_trace("root " + name, mt::user::parse("user-" + name).value(),
                                                   mt::session::parse("session-" + name).value());
                    auto span = tracer.start_span("step " + name);
                    threads.post(mt::bind([&tracer, name] {
                        auto background = tracer.start_span("background " + name);
                        auto nested = tracer.start_span("nested " + name);
                    }));
                });
    }
    std::map<std::string, int> seen;
    std::map<std::string, std::string> session_of; // by trace ID
    const auto traces = tracer.exporter().take();
    for (const auto& trace : traces) {
        if (!trace.has_root) continue;
        const auto s = trace.root()->name.substr(5);
        EXPECT_EQ(trace.metadata["mlflow.trace.user"], "user-" + s);
        EXPECT_EQ(trace.metadata["mlflow.trace.session"], "session-" + s);
        session_of[std::string(trace.id.hex().view())] = s;
    }
    EXPECT_EQ(session_of.size(), static_cast<std::size_t>(sessions * turns));
    for (const auto& trace : traces)
        for (const auto& span : trace.spans) {
            const auto s = session_of.at(std::string(trace.id.hex().view()));
            EXPECT_EQ(span.name.substr(span.name.find(' ') + 1), s);
            ++seen[span.name.substr(0, span.name.find(' '))];
        }
    for (const char* name : {"root", "step", "background", "nested"}) EXPECT_EQ(seen[name], sessions * turns) << name;
    EXPECT_EQ(tracer.account().exported, static_cast<std::uint64_t>(4 * sessions * turns));
    EXPECT_EQ(tracer.account().open, 0U);
}

} // namespace
