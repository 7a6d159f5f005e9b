// SPDX-License-Identifier: Apache-2.0
// Boost.Asio's awaitables: as tasks of a coroutine_context, and with the policy that cannot follow them.
#include "support/counted.hpp"
#include "support/environment.hpp"
#include "support/reports.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/context/asio.hpp>

#include <boost/asio.hpp>
#include <boost/version.hpp>
#include <gtest/gtest.h>

#if BOOST_VERSION >= 108100
#include <boost/asio/experimental/awaitable_operators.hpp>
#endif

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
namespace asio = boost::asio;

template <class Context>
using tracer_in = mt::tracer<mt::open_schema, Context, mt::memory_exporter>;

asio::awaitable<void> pause() {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::microseconds(50));
    co_await timer.async_wait(asio::use_awaitable);
}

void run_on(asio::io_context& io, int threads) {
    std::vector<std::thread> pool;
    for (int i = 1; i < threads; ++i) pool.emplace_back([&io] { io.run(); });
    io.run();
    for (auto& thread : pool) thread.join();
}

// A turn written as synchronous code is.
template <class Tracer>
asio::awaitable<void> turn(Tracer& tracer, std::string who) {
    auto trace = tracer.start_trace("chat " + who, mt::user::parse(who).value(), mt::no_session);
    {
        auto span = tracer.start_span("retrieve " + who);
    }
    co_await pause();
    auto span = tracer.start_span("answer " + who);
    co_await pause();
    {
        auto inside = tracer.start_span("tool " + who);
    }
}
template <class Tracer>
asio::awaitable<void> session(Tracer& tracer, std::string who, int turns) {
    for (int i = 0; i < turns; ++i) co_await turn(tracer, who);
}

class asio_threads : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(of, asio_threads, testing::Values(1, 2, 4, 8), testing::PrintToStringParamName());

TEST_P(asio_threads, follow_each_task) {
    tracer_in<mt::coroutine_context> tracer;
    asio::io_context io;
    for (int i = 0; i < 8; ++i)
        mt::co_spawn(asio::make_strand(io), session(tracer, "user-" + std::to_string(i), 50), asio::detached);
    run_on(io, GetParam());
    const support::counted found(tracer.exporter().take());
    EXPECT_EQ(found.right, 8U * 50U * 4U);
    EXPECT_EQ(found.of_others, 0U);
    EXPECT_EQ(found.of_nobody, 0U);
}

// Without a strand, a task may be resumed on one thread while another one is about to leave it.
TEST_P(asio_threads, follow_each_task_without_a_strand) {
    tracer_in<mt::coroutine_context> tracer;
    asio::thread_pool pool(static_cast<std::size_t>(GetParam()));
    const auto child = [](auto& recorder, std::string who) -> asio::awaitable<void> {
        auto span = recorder.start_span("child " + who);
        co_await asio::post(asio::use_awaitable);
    };
    const auto posts = [&](auto& recorder, std::string who) -> asio::awaitable<void> {
        for (int i = 0; i < 20; ++i) {
            auto trace = recorder.start_trace("chat " + who, mt::user::parse(who).value(), mt::no_session);
            mt::co_spawn(co_await asio::this_coro::executor, child(recorder, who), asio::detached);
            for (int n = 0; n < 20; ++n) {
                co_await asio::post(asio::use_awaitable);
                auto span = recorder.start_span("post " + who);
            }
        }
    };
    for (int i = 0; i < 6; ++i) mt::co_spawn(pool, posts(tracer, "user-" + std::to_string(i)), asio::detached);
    pool.join();
    const support::counted found(tracer.exporter().take());
    EXPECT_EQ(found.right, 6U * 20U * 22U);
    EXPECT_EQ(found.of_others + found.of_nobody, 0U);
    EXPECT_EQ(tracer.refused_values(), 0U);
}

// A heartbeat: each task starts the next one with its own executor.
TEST(asio_tasks, are_not_inside_each_other) {
    tracer_in<mt::coroutine_context> tracer;
    asio::io_context io;
    std::function<asio::awaitable<void>(int)> beat = [&](int left) -> asio::awaitable<void> {
        auto span = tracer.start_span("beat");
        co_await asio::post(asio::use_awaitable);
        if (left > 0) mt::co_spawn(co_await asio::this_coro::executor, beat(left - 1), asio::detached);
    };
    mt::co_spawn(io, beat(5'000), asio::detached);
    io.run(); // at once; nested executors would take minutes
    EXPECT_EQ(tracer.account().open, 0U);
    EXPECT_EQ(tracer.account().started, 5'001U);
}

TEST_P(asio_threads, that_cannot_follow_record_without_a_user_and_say_so_once) {
    support::reports reports;
    tracer_in<mt::thread_local_context> tracer({.on_error = &support::reports::add, .error_context = &reports});
    asio::io_context io;
    for (int i = 0; i < 8; ++i)
        asio::co_spawn(asio::make_strand(io), session(tracer, "user-" + std::to_string(i), 50), asio::detached);
    run_on(io, GetParam());
    const support::counted found(tracer.exporter().take());
    EXPECT_EQ(found.right, 8U * 50U); // the traces themselves
    EXPECT_EQ(found.of_others, 0U);
    EXPECT_EQ(found.of_nobody, 8U * 50U * 3U);
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

// The same with callbacks, each session an object on the heap.
class callback_session : public std::enable_shared_from_this<callback_session> {
public:
    callback_session(tracer_in<mt::thread_local_context>& tracer, asio::io_context& io, std::string who, int turns)
        : tracer_(tracer), timer_(asio::make_strand(io)), who_(std::move(who)), turns_(turns) {}
    void start() {
        trace_ = tracer_.start_trace("chat " + who_, mt::user::parse(who_).value(), mt::no_session);
        {
            auto span = tracer_.start_span("retrieve " + who_);
        }
        timer_.expires_after(std::chrono::microseconds(50));
        timer_.async_wait([self = shared_from_this()](boost::system::error_code) { self->finish(); });
    }

private:
    void finish() {
        {
            auto span = tracer_.start_span("answer " + who_);
        }
        trace_.end();
        if (--turns_ > 0) start();
    }
    tracer_in<mt::thread_local_context>& tracer_;
    asio::steady_timer timer_;
    std::string who_;
    int turns_;
    tracer_in<mt::thread_local_context>::trace trace_;
};

TEST_P(asio_threads, that_run_callbacks_mix_nobody_up) {
    support::reports reports;
    tracer_in<mt::thread_local_context> tracer({.on_error = &support::reports::add, .error_context = &reports});
    asio::io_context io;
    std::vector<std::shared_ptr<callback_session>> sessions;
    for (int i = 0; i < 8; ++i) {
        sessions.push_back(std::make_shared<callback_session>(tracer, io, "user-" + std::to_string(i), 50));
        asio::post(io, [session = sessions.back()] { session->start(); });
    }
    run_on(io, GetParam());
    EXPECT_EQ(support::counted(tracer.exporter().take()).of_others, 0U);
    EXPECT_EQ(reports.faults().size(), 1U);
}

TEST(asio_tasks, begin_with_what_is_current_where_they_are_spawned) {
    tracer_in<mt::coroutine_context> tracer;
    asio::io_context io;
    const auto child = [](auto& recorder) -> asio::awaitable<void> {
        {
            auto span = recorder.start_span("child before alice");
        }
        co_await pause();
        {
            auto span = recorder.start_span("child after alice");
        }
    };
    const auto parent = [&](auto& recorder) -> asio::awaitable<void> {
        auto trace = recorder.start_trace("chat alice", mt::user{"alice"}, mt::no_session);
        auto span = recorder.start_span("around alice");
        mt::co_spawn(co_await asio::this_coro::executor, child(recorder), asio::detached);
        co_await mt::co_spawn(co_await asio::this_coro::executor, child(recorder), asio::use_awaitable);
        span.end();
        {
            auto after = recorder.start_span("after alice");
        }
        co_await pause();
    };
    mt::co_spawn(io, parent(tracer), asio::detached);
    mt::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            co_await pause();
            auto trace = tracer.start_trace("chat bob", mt::user{"bob"}, mt::no_session);
        },
        asio::detached);
    io.run();
    const auto traces = tracer.exporter().take();
    const support::counted found(traces);
    EXPECT_EQ(found.right, 8U);
    EXPECT_EQ(found.of_others + found.of_nobody, 0U);
    for (const auto& trace : traces)
        if (const auto* const around = trace.find("around alice"))
            for (const auto& span : trace.spans) {
                if (span.name.starts_with("child")) {
                    EXPECT_EQ(span.parent, around->id) << span.name;
                }
            }
}

TEST(asio_tasks, keep_scopes_and_what_is_off_over_suspensions) {
    tracer_in<mt::coroutine_context> tracer;
    asio::io_context io;
    const auto request = [&](std::string who) -> asio::awaitable<void> {
        const auto scope = tracer.scope(mt::user::parse(who).value());
        co_await pause();
        {
            auto span = tracer.start_span("a " + who);
        }
        {
            const auto off = tracer.untraced();
            co_await pause();
            auto span = tracer.start_span("hidden");
            EXPECT_FALSE(span.recording());
            co_await pause();
        }
        auto span = tracer.start_span("b " + who);
        co_await pause();
    };
    for (int i = 0; i < 8; ++i) mt::co_spawn(io, request("user-" + std::to_string(i)), asio::detached);
    io.run();
    const support::counted found(tracer.exporter().take());
    EXPECT_EQ(found.right, 16U);
    EXPECT_EQ(found.of_others + found.of_nobody, 0U);
}

TEST(asio_tasks, let_exceptions_through_run_and_traced) {
    tracer_in<mt::coroutine_context> tracer;
    asio::io_context io;
    auto ask = mt::traced<"ask", "fails">(tracer, [](bool fails) -> asio::awaitable<int> {
        co_await pause();
        if (fails) throw std::runtime_error("model down");
        co_return 41;
    });
    std::string thrown;
    mt::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            auto trace = tracer.start_trace("agent", mt::anonymous, mt::no_session);
            EXPECT_EQ(co_await ask(false), 41);
            co_await trace.run([&]() -> asio::awaitable<void> { co_await ask(true); });
        },
        [&](std::exception_ptr left) {
            try {
                std::rethrow_exception(left);
            } catch (const std::runtime_error& error) {
                thrown = error.what();
            }
        });
    io.run();
    EXPECT_EQ(thrown, "model down");
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_EQ(trace.spans.size(), 3U);
    EXPECT_EQ(trace.root()->status_message, "std::runtime_error: model down");
    EXPECT_EQ(trace.root()->events.at(0).name, "exception");
    std::size_t failed = 0;
    for (const auto& span : trace.spans) {
        if (span.name != "ask") continue;
        EXPECT_EQ(span.attributes["mlflow.spanOutputs"], span.code == mt::status::ok ? "41" : "");
        failed += span.code == mt::status::error ? 1 : 0;
    }
    EXPECT_EQ(failed, 1U);
}

TEST(asio_tasks, record_exceptions_with_the_explicit_policy_too) {
    tracer_in<mt::explicit_context> tracer;
    asio::io_context io;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            auto trace = tracer.start_trace("agent", mt::anonymous, mt::no_session);
            co_await trace.run([&]() -> asio::awaitable<void> {
                co_await pause();
                throw std::runtime_error("model down");
            });
        },
        [](std::exception_ptr) {});
    io.run();
    EXPECT_EQ(tracer.exporter().take().at(0).root()->status_message, "std::runtime_error: model down");
}

TEST(asio_tasks, resume_in_their_context_from_other_executors) {
    support::reports reports;
    tracer_in<mt::coroutine_context> tracer({.on_error = &support::reports::add, .error_context = &reports});
    asio::io_context io;
    asio::thread_pool elsewhere(2);
    mt::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            auto trace = tracer.start_trace("chat alice", mt::user{"alice"}, mt::no_session);
            co_await asio::post(elsewhere, asio::use_awaitable);
            {
                auto span = tracer.start_span("posted alice");
            }
            co_await pause();
            {
                auto span = tracer.start_span("back alice");
            }
        },
        asio::detached);
    io.run();
    const support::counted found(tracer.exporter().take());
    EXPECT_EQ(found.right, 3U);
    EXPECT_EQ(found.of_others + found.of_nobody, 0U);
    EXPECT_TRUE(reports.faults().empty());
}

TEST(asio_tasks, that_share_one_task_are_told_apart_or_reported) {
    support::reports reports;
    tracer_in<mt::coroutine_context> tracer({.on_error = &support::reports::add, .error_context = &reports});
    asio::io_context io;
    mt::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            for (int i = 0; i < 4; ++i) // asio's own co_spawn: the executor makes all of them one task
                asio::co_spawn(co_await asio::this_coro::executor, session(tracer, "user-" + std::to_string(i), 5),
                               asio::detached);
        },
        asio::detached);
    io.run();
    EXPECT_EQ(support::counted(tracer.exporter().take()).of_others, 0U);
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::interleaved});
}

#if BOOST_VERSION >= 108100
// A token with an executor of its own resumes there, outside the task, until the next suspension.
TEST(asio_tasks, are_left_by_a_token_with_an_executor_and_say_so) {
    support::reports reports;
    tracer_in<mt::coroutine_context> tracer({.on_error = &support::reports::add, .error_context = &reports});
    asio::io_context io;
    asio::thread_pool elsewhere(2);
    mt::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            auto trace = tracer.start_trace("chat alice", mt::user{"alice"}, mt::no_session);
            co_await asio::post(elsewhere, asio::bind_executor(elsewhere.get_executor(), asio::use_awaitable));
            {
                auto span = tracer.start_span("bound");
                co_await pause(); // or clang has the span on the stack
            }
            {
                auto span = tracer.start_span("back alice");
            }
        },
        asio::detached);
    io.run();
    const support::counted found(tracer.exporter().take());
    EXPECT_EQ(found.right, 2U);
    EXPECT_EQ(found.of_others, 0U);
    EXPECT_EQ(found.of_nobody, 1U);
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

TEST(asio_tasks, have_branches) {
    using namespace asio::experimental::awaitable_operators;
    tracer_in<mt::coroutine_context> tracer;
    asio::io_context io;
    const auto ask = [&](std::string name, int pauses) -> asio::awaitable<std::string> {
        auto span = tracer.start_span(name + " alice");
        for (int i = 0; i < pauses; ++i) co_await pause();
        {
            auto inside = tracer.start_span("inside " + name + " alice");
        }
        co_return name;
    };
    const auto forever = [&]() -> asio::awaitable<void> {
        auto span = tracer.start_span("cancelled alice");
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
        co_await timer.async_wait(asio::use_awaitable);
    };
    mt::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            auto trace = tracer.start_trace("chat alice", mt::user{"alice"}, mt::no_session);
            const auto [first, second] = co_await (mt::branch(ask("first", 3)) && mt::branch(ask("second", 1)));
            EXPECT_EQ(first + second, "firstsecond");
            co_await (mt::branch(ask("third", 1)) || mt::branch(forever()));
            {
                auto after = tracer.start_span("after alice");
            }
        },
        [](std::exception_ptr left) { EXPECT_FALSE(left); });
    io.run();
    const auto trace = tracer.exporter().take().at(0);
    ASSERT_EQ(trace.spans.size(), 9U);
    for (const std::string name : {"first", "second", "third"}) {
        EXPECT_EQ(trace.find("inside " + name + " alice")->parent, trace.find(name + " alice")->id);
        EXPECT_EQ(trace.find(name + " alice")->parent, trace.root()->id);
    }
    EXPECT_EQ(trace.find("cancelled alice")->code, mt::status::error);
    EXPECT_EQ(trace.find("after alice")->parent, trace.root()->id);
}
#endif

// Many sessions, whose spans change over suspensions, with nested tasks, threads and callbacks beside them.
TEST_P(asio_threads, follow_many_sessions_beside_threads_and_callbacks) {
    const int turns = static_cast<int>(support::number_from("MLFLOW_TRACE_TURNS", 20));
    constexpr int sessions = 64;
    support::reports reports;
    tracer_in<mt::coroutine_context> tracer({.on_error = &support::reports::add, .error_context = &reports});
    asio::io_context io;
    std::atomic<std::size_t> started{0};
    const auto count = [&](auto span) {
        started.fetch_add(1);
        return span;
    };
    const auto tool = [&](std::string who) -> asio::awaitable<void> {
        auto span = count(tracer.start_span("tool " + who));
        co_await pause();
        auto inside = count(tracer.start_span("inside tool " + who));
    };
    const auto nested = [&](std::string who) -> asio::awaitable<void> {
        const auto scope = tracer.scope(mt::user::parse(who).value());
        for (int i = 0; i < turns; ++i) {
            auto trace = count(tracer.start_trace("chat " + who, mt::no_session));
            {
                auto span = count(tracer.start_span("retrieve " + who));
            }
            auto span = count(tracer.start_span("think " + who));
            co_await pause();
            co_await tool(who);
            co_await mt::co_spawn(co_await asio::this_coro::executor, tool(who), asio::use_awaitable);
            span.end();
            auto answer = count(tracer.start_span("answer " + who));
            asio::post(io, tracer.bind([&, who] { auto callback = count(tracer.start_span("callback " + who)); }));
            co_await pause();
        }
        if (turns > 0) auto alone = count(tracer.start_span("alone " + who));
    };
    for (int i = 0; i < sessions; ++i)
        mt::co_spawn(asio::make_strand(io), nested("user-" + std::to_string(i)), asio::detached);
    std::vector<std::thread> beside;
    for (int i = 0; i < 2; ++i)
        beside.emplace_back([&, who = "thread-" + std::to_string(i)] {
            for (int n = 0; n < turns; ++n) {
                auto trace = count(tracer.start_trace("chat " + who, mt::user::parse(who).value(), mt::no_session));
                auto span = count(tracer.start_span("sync " + who));
            }
        });
    run_on(io, GetParam());
    for (auto& thread : beside) thread.join();
    const support::counted found(tracer.exporter().take());
    EXPECT_EQ(found.right + found.of_nobody + found.of_others, started.load());
    EXPECT_EQ(found.of_others, 0U);
    EXPECT_EQ(found.of_nobody, 0U);
    EXPECT_TRUE(reports.faults().empty());
}

} // namespace
