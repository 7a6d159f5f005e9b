// SPDX-License-Identifier: Apache-2.0
// Coroutines over a thread_local_context, which cannot follow them: what they hold over a suspension is nobody
// else's.
#include "support/reports.hpp"
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <coroutine>
#include <exception>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter>;

struct task {
    struct promise_type {
        static task get_return_object() noexcept { return {}; }
        static std::suspend_never initial_suspend() noexcept { return {}; }
        static std::suspend_never final_suspend() noexcept { return {}; }
        static void return_void() noexcept {}
        static void unhandled_exception() noexcept { std::terminate(); }
    };
};

// Goes on in another thread.
struct hop {
    std::thread& on;
    static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> self) const {
        std::thread& kept = on; // this object goes with the coroutine
        kept = std::thread([self] { self.resume(); });
    }
    static void await_resume() noexcept {}
};
// Goes on when somebody resumes the handle.
struct wait_for {
    std::coroutine_handle<>& handle;
    static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> self) const noexcept { handle = self; }
    static void await_resume() noexcept {}
};

class suspension : public testing::Test {
public:
    std::map<std::string, std::string> users() {
        std::map<std::string, std::string> found;
        for (const auto& trace : tracer.exporter().take())
            for (const auto& span : trace.spans) found[span.name] = trace.metadata["mlflow.trace.user"];
        return found;
    }
    void work(const std::string& name) { auto span = tracer.start_span(name); }

    task scope_over_a_hop(std::thread& other) {
        const auto scope = tracer.scope(mt::user{"alice"});
        work("before");
        co_await hop{other};
        work("after the hop");
    }
    task scope_over_a_wait(std::string who, std::coroutine_handle<>& handle) {
        const auto scope = tracer.scope(mt::user::parse(who).value());
        co_await wait_for{handle};
        auto span = tracer.start_span("answer for " + who);
    }
    task trace_over_a_wait(std::string who, std::coroutine_handle<>& handle) {
        auto trace = tracer.start_trace("chat of " + who, mt::user::parse(who).value(), mt::no_session);
        auto span = trace.start_span("told of " + who);
        co_await wait_for{handle};
        work("work for " + who);
    }
    task attached_over_a_wait(mt::captured_context<> captured, std::coroutine_handle<>& handle) {
        const auto attached = captured.attach();
        co_await wait_for{handle};
        work("in the attached context");
    }

    support::reports reports;
    tracer_type tracer{{.on_error = &support::reports::add, .error_context = &reports}};
};

TEST_F(suspension, of_a_scope_that_goes_on_in_another_thread) {
    std::thread other;
    scope_over_a_hop(other);
    other.join();
    work("of nobody");
    for (const auto& [name, user] : users()) EXPECT_EQ(user, "") << name;
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

TEST_F(suspension, of_scopes_that_end_in_the_order_in_which_they_began) {
    std::coroutine_handle<> alice;
    std::coroutine_handle<> bob;
    scope_over_a_wait("alice", alice);
    work("housekeeping");
    scope_over_a_wait("bob", bob);
    alice.resume();
    bob.resume();
    work("housekeeping again");
    for (const auto& [name, user] : users()) EXPECT_EQ(user, "") << name;
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

TEST_F(suspension, of_traces_that_are_resumed_inside_the_trace_of_somebody_else) {
    std::coroutine_handle<> alice;
    std::coroutine_handle<> bob;
    trace_over_a_wait("alice", alice);
    work("housekeeping");
    trace_over_a_wait("bob", bob);
    {
        auto carol = tracer.start_trace("chat of carol", mt::user{"carol"}, mt::no_session);
        alice.resume();
        bob.resume();
        work("work for carol");
    }
    const auto found = users();
    for (const std::string who : {"alice", "bob", "carol"}) {
        EXPECT_EQ(found.at("chat of " + who), who);
        EXPECT_EQ(found.at("work for " + who), "") << "it cannot be known whose";
    }
    EXPECT_EQ(found.at("told of alice"), "alice");
    EXPECT_EQ(found.at("told of bob"), "bob");
    EXPECT_EQ(found.at("housekeeping"), "");
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

TEST_F(suspension, of_an_attached_context) {
    std::coroutine_handle<> handle;
    {
        auto alice = tracer.start_trace("chat of alice", mt::user{"alice"}, mt::no_session);
        const auto captured = mt::capture();
        std::thread([&] { attached_over_a_wait(captured, handle); }).join();
    }
    auto bob = tracer.start_trace("chat of bob", mt::user{"bob"}, mt::no_session);
    handle.resume();
    work("work for bob");
    bob.end();
    const auto found = users();
    EXPECT_EQ(found.at("in the attached context"), "") << "it cannot be known whose";
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

} // namespace
