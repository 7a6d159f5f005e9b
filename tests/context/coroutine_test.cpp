// SPDX-License-Identifier: Apache-2.0
// Own coroutine types with coroutine_context.
#include "support/counted.hpp"
#include "support/environment.hpp"
#include "support/reports.hpp"
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::open_schema, mt::coroutine_context, mt::memory_exporter>;

// A task as many programs have one: lazy, awaited by another, or started and forgotten.
template <class T>
class task {
public:
    struct promise_type : mt::coroutine_promise<promise_type> {
        struct resume_awaiting {
            static bool await_ready() noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) noexcept {
                return done.promise().awaiting ? done.promise().awaiting : std::noop_coroutine();
            }
            static void await_resume() noexcept {}
        };
        task get_return_object() { return task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        auto initial_suspend() noexcept { return this->starts(std::suspend_always{}); }
        auto final_suspend() noexcept { return this->finishes(resume_awaiting{}); }
        void return_value(T given) { value = std::move(given); }
        void unhandled_exception() { thrown = std::current_exception(); }

        std::coroutine_handle<> awaiting;
        std::optional<T> value;
        std::exception_ptr thrown;
    };

    task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    task(const task&) = delete;
    task& operator=(const task&) = delete;
    ~task() {
        if (frame_) frame_.destroy();
    }

    [[nodiscard]] bool await_ready() const noexcept { return frame_.done(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        frame_.promise().awaiting = awaiting;
        return frame_;
    }
    T await_resume() {
        if (frame_.promise().thrown) std::rethrow_exception(frame_.promise().thrown);
        return std::move(*frame_.promise().value);
    }

    void start() { frame_.resume(); }
    [[nodiscard]] bool done() const { return frame_.done(); }

private:
    explicit task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

// Suspends until somebody resumes what is in `waiting`.
struct gate {
    std::vector<std::coroutine_handle<>> waiting;
    auto operator co_await() {
        struct awaiter {
            gate& self;
            static bool await_ready() noexcept { return false; }
            void await_suspend(std::coroutine_handle<> one) { self.waiting.push_back(one); }
            static int await_resume() noexcept { return 7; }
        };
        return awaiter{*this};
    }
    void open() {
        for (const auto one : std::exchange(waiting, {})) one.resume();
    }
};

class coroutine : public testing::Test {
public:
    std::map<std::string, std::string> users() {
        std::map<std::string, std::string> found;
        for (const auto& trace : tracer.exporter().take())
            for (const auto& span : trace.spans) found[span.name] = trace.metadata["mlflow.trace.user"];
        return found;
    }
    static mt::user user(const std::string& name) { return mt::user::parse(name).value(); }

    // A plain function that records without being told for whom.
    void work(const std::string& name) { auto span = tracer.start_span(name); }

    task<int> turn(std::string name, gate& until) {
        const auto scope = tracer.scope(user(name));
        auto trace = tracer.start_trace(name + " chat", mt::no_session);
        work(name + " before");
        auto span = tracer.start_span(name + " over the suspension");
        const int got = co_await until;
        work(name + " after");
        span.end();
        co_return got;
    }
    task<int> session(std::string name, gate& until) {
        int sum = 0;
        for (int i = 0; i < 2; ++i) sum += co_await turn(name, until);
        work(name + " alone");
        co_return sum;
    }

    support::reports reports;
    tracer_type tracer{{.on_error = &support::reports::add, .error_context = &reports}};
};

TEST_F(coroutine, keeps_what_is_current_over_a_suspension) {
    gate until;
    auto alice = session("alice", until);
    auto bob = session("bob", until);
    alice.start();
    work("of nobody");
    bob.start();
    std::thread([&] { until.open(); }).join();
    {
        auto carol = tracer.start_trace("carol chat", mt::user{"carol"}, mt::no_session);
        until.open(); // both are resumed inside the trace of somebody else
        work("carol after");
    }
    EXPECT_TRUE(alice.done());
    EXPECT_TRUE(bob.done());
    const auto found = users();
    for (const std::string name : {"alice", "bob"}) {
        for (const std::string span : {" chat", " before", " after", " over the suspension"})
            EXPECT_EQ(found.at(name + span), name) << name << span;
        EXPECT_EQ(found.at(name + " alone"), "");
    }
    EXPECT_EQ(found.at("carol after"), "carol");
    EXPECT_EQ(found.at("of nobody"), "");
    EXPECT_TRUE(reports.faults().empty());
    EXPECT_EQ(tracer.account().open, 0U);
}

TEST_F(coroutine, begins_with_what_is_current_where_it_is_called) {
    gate until;
    auto child = [](coroutine& self, gate& wait) -> task<int> {
        self.work("child before");
        co_await wait;
        self.work("child after");
        co_return 1;
    };
    std::optional<task<int>> started;
    {
        auto trace = tracer.start_trace("alice chat", mt::user{"alice"}, mt::no_session);
        started.emplace(child(*this, until));
    }
    started->start();
    until.open();
    const auto found = users();
    EXPECT_EQ(found.count("child before") + found.count("child after"), 2U);
    EXPECT_TRUE(mt::current_trace_id<mt::coroutine_context>() == mt::trace_id{});
}

TEST_F(coroutine, is_done_with_its_task_when_it_is_destroyed_while_it_waits) {
    gate until;
    {
        auto alice = turn("alice", until);
        alice.start();
    }
    work("of nobody");
    const auto found = users();
    EXPECT_EQ(found.at("alice over the suspension"), "alice");
    EXPECT_EQ(found.at("of nobody"), "");
    EXPECT_EQ(tracer.account().open, 0U);
}

TEST_F(coroutine, records_the_exception_that_leaves_run) {
    gate until;
    auto failing = [](coroutine& self, gate& wait) -> task<int> {
        auto trace = self.tracer.start_trace("alice chat", mt::user{"alice"}, mt::no_session);
        co_return co_await trace.run([&]() -> task<int> {
            co_await wait;
            throw std::runtime_error("model down");
        });
    };
    auto alice = failing(*this, until);
    alice.start();
    until.open();
    EXPECT_THROW(static_cast<void>(alice.await_resume()), std::runtime_error);
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_EQ(trace.root()->status_message, "std::runtime_error: model down");
    EXPECT_EQ(trace.root()->events.at(0).name, "exception");
}

TEST_F(coroutine, that_run_made_may_outlive_its_span) {
    gate until;
    auto late = [&]() -> std::optional<task<int>> {
        auto trace = tracer.start_trace("chat", mt::user{"alice"}, mt::no_session);
        return trace.run([&until]() -> task<int> {
            co_await until;
            throw std::runtime_error("too late");
        });
    }();
    auto other = tracer.start_trace("other", mt::user{"bob"}, mt::no_session); // takes the memory of the first
    late->start();
    until.open();
    EXPECT_THROW(static_cast<void>(late->await_resume()), std::runtime_error);
    other.end();
    for (const auto& trace : tracer.exporter().take()) EXPECT_TRUE(trace.root()->events.empty());
}

TEST_F(coroutine, is_traced_from_the_start_of_its_body_to_its_end) {
    gate until;
    const auto ask = mt::traced<"ask", "user", "question">(
        tracer, [&until](mt::user, const std::string& question) -> task<std::string> {
            co_await until;
            if (question.empty()) throw std::runtime_error("no question");
            co_return "answer to " + question;
        });
    auto callable = ask;
    auto good = callable(mt::user{"alice"}, std::string("q"));
    auto bad = callable(mt::user{"bob"}, std::string());
    good.start();
    bad.start();
    until.open();
    EXPECT_EQ(good.await_resume(), "answer to q");
    EXPECT_THROW(static_cast<void>(bad.await_resume()), std::runtime_error);
    for (const auto& trace : tracer.exporter().take()) {
        const bool is_good = trace.metadata["mlflow.trace.user"] == "alice";
        EXPECT_EQ(trace.root()->attributes["mlflow.spanOutputs"], is_good ? "\"answer to q\"" : "");
        EXPECT_EQ(trace.root()->status_message, is_good ? "" : "std::runtime_error: no question");
    }
}

// Generators suspend by co_yield, which await_transform does not see.
struct numbers {
    struct promise_type : mt::coroutine_promise<promise_type> {
        numbers get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        auto initial_suspend() noexcept { return starts(std::suspend_always{}); }
        auto final_suspend() noexcept { return finishes(std::suspend_always{}); }
        auto yield_value(int given) noexcept {
            value = given;
            return suspends(std::suspend_always{});
        }
        void return_void() noexcept {}
        void unhandled_exception() {
            stops();
            throw;
        }
        int value = 0;
    };
    std::coroutine_handle<promise_type> frame;
};

TEST_F(coroutine, may_be_a_generator_whose_exceptions_reach_the_caller) {
    const auto count = [](coroutine& self) -> numbers {
        auto trace = self.tracer.start_trace("alice chat", mt::user{"alice"}, mt::no_session);
        co_yield 1;
        self.work("alice second");
        co_yield 2;
        throw std::runtime_error("no more");
    };
    auto made = count(*this);
    auto carol = tracer.start_trace("carol chat", mt::user{"carol"}, mt::no_session);
    made.frame.resume();
    work("carol between");
    made.frame.resume();
    EXPECT_EQ(made.frame.promise().value, 2);
    EXPECT_THROW(made.frame.resume(), std::runtime_error);
    work("carol after");
    carol.end();
    made.frame.destroy();
    const auto found = users();
    EXPECT_EQ(found.at("carol between"), "carol");
    EXPECT_EQ(found.at("carol after"), "carol");
    EXPECT_EQ(found.at("alice second"), "alice");
}

struct failing_awaiter {
    static bool await_ready() noexcept { return false; }
    static void await_suspend(std::coroutine_handle<>) { throw std::runtime_error("cannot wait"); }
    static void await_resume() noexcept {}
};
struct refusing_awaiter {
    static bool await_ready() noexcept { return false; }
    static bool await_suspend(std::coroutine_handle<>) noexcept { return false; }
    static void await_resume() noexcept {}
};

TEST_F(coroutine, goes_on_where_an_awaiter_does_not_wait) {
    auto goes_on = [](coroutine& self) -> task<int> {
        auto trace = self.tracer.start_trace("alice chat", mt::user{"alice"}, mt::no_session);
        co_await refusing_awaiter{};
        self.work("alice refused");
        try {
            co_await failing_awaiter{};
        } catch (const std::runtime_error&) {
            self.work("alice caught");
        }
        co_await std::suspend_never{};
        self.work("alice last");
        co_return 0;
    };
    auto alice = goes_on(*this);
    alice.start();
    work("of nobody");
    for (const auto& [name, whose] : users()) EXPECT_EQ(whose, name == "of nobody" ? "" : "alice") << name;
}

TEST_F(coroutine, that_runs_twice_at_once_finds_nothing_current_the_second_time) {
    const auto one = mt::task_context::start();
    const mt::task_context::running here(one);
    auto alice = tracer.start_trace("alice chat", mt::user{"alice"}, mt::no_session);
    std::thread([&] {
        const mt::task_context::running also_here(one);
        work("elsewhere");
    }).join();
    work("alice here");
    alice.end();
    const auto found = users();
    EXPECT_EQ(found.at("elsewhere"), "");
    EXPECT_EQ(found.at("alice here"), "alice");
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::interleaved});
}

TEST_F(coroutine, frames_that_end_in_another_order_leave_the_thread_as_it_was) {
    gate until;
    {
        auto carol = tracer.start_trace("carol chat", mt::user{"carol"}, mt::no_session);
        auto alice = std::make_unique<task<int>>(turn("alice", until));
        auto bob = std::make_unique<task<int>>(turn("bob", until));
        alice->start();
        bob->start();
        alice.reset();
        until.waiting.erase(until.waiting.begin());
        work("carol between");
        until.open();
        bob.reset();
    }
    EXPECT_EQ(users().at("carol between"), "carol");
    // Their scopes are of other users than the trace in which they were called.
    EXPECT_EQ(reports.faults(), (std::vector{mt::error_kind::already_set, mt::error_kind::already_set}));
}

// A scheduler as a server has one: threads that resume whatever is ready.
class scheduler {
public:
    auto operator co_await() {
        struct awaiter {
            scheduler& self;
            static bool await_ready() noexcept { return false; }
            void await_suspend(std::coroutine_handle<> one) { self.put(one); }
            static void await_resume() noexcept {}
        };
        return awaiter{*this};
    }
    void put(std::coroutine_handle<> one) {
        const std::lock_guard guard(lock_);
        ready_.push_back(one);
        changed_.notify_one();
    }
    void run(int threads, int tasks) {
        left_ = tasks;
        std::vector<std::thread> pool;
        for (int i = 0; i < threads; ++i) pool.emplace_back([this] { work(); });
        for (auto& thread : pool) thread.join();
    }
    void finish_one() {
        const std::lock_guard guard(lock_);
        --left_;
        changed_.notify_all();
    }

private:
    void work() {
        std::unique_lock guard(lock_);
        while (true) {
            changed_.wait(guard, [this] { return !ready_.empty() || left_ == 0; });
            if (ready_.empty()) return;
            const auto one = ready_.front();
            ready_.pop_front();
            guard.unlock();
            one.resume();
            guard.lock();
        }
    }
    std::mutex lock_;
    std::condition_variable changed_;
    std::deque<std::coroutine_handle<>> ready_;
    int left_ = 0;
};

class coroutine_threads : public coroutine, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(of, coroutine_threads, testing::Values(1, 2, 8), testing::PrintToStringParamName());

TEST_P(coroutine_threads, follow_many_sessions) {
    const int turns = static_cast<int>(support::number_from("MLFLOW_TRACE_TURNS", 20));
    constexpr int sessions = 64;
    scheduler loop;
    auto tool = [&](std::string who) -> task<int> {
        auto span = tracer.start_span("tool " + who);
        co_await loop;
        work("inside tool " + who);
        co_return 1;
    };
    auto all = [&](std::string who) -> task<int> {
        const auto scope = tracer.scope(user(who));
        co_await loop;
        for (int i = 0; i < turns; ++i) {
            auto trace = tracer.start_trace("chat " + who, mt::no_session);
            work("retrieve " + who);
            auto span = tracer.start_span("think " + who);
            co_await loop;
            co_await tool(who);
            span.end();
            co_await loop;
            work("answer " + who);
        }
        loop.finish_one();
        co_return 0;
    };
    std::vector<task<int>> started;
    started.reserve(sessions);
    for (int i = 0; i < sessions; ++i) started.push_back(all("user-" + std::to_string(i)));
    for (auto& each : started) each.start();
    loop.run(GetParam(), sessions);
    started.clear();
    const support::counted found(tracer.exporter().take());
    EXPECT_EQ(found.right, static_cast<std::size_t>(sessions * turns * 6));
    EXPECT_EQ(found.of_others + found.of_nobody, 0U);
    EXPECT_TRUE(reports.faults().empty());
}

} // namespace
