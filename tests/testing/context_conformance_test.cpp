// SPDX-License-Identifier: Apache-2.0
#include "examples/own_context/event_loop.hpp"
#include <mlflow/trace/context/coroutine_context.hpp>
#include <mlflow/trace/context/thread_local.hpp>
#include <mlflow/trace/testing/context_conformance.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using tasks_type = std::vector<mt::conformance_task>;

template <class Context>
std::string faults_of(typename mt::context_conformance<Context>::runner run) {
    std::string all;
    mt::context_conformance<Context> suite(std::move(run));
    for (const std::string& fault : suite.faults()) all += fault + "\n";
    return all;
}

// One step of each task, and again, as long as there are any.
template <class RunStep>
void in_turns(const tasks_type& tasks, const RunStep& run_step) {
    for (std::size_t at = 0, run = 1; run != 0; ++at) {
        run = 0;
        for (std::size_t task = 0; task < tasks.size(); ++task)
            if (at < tasks[task].size()) {
                run_step(task, tasks[task][at]);
                ++run;
            }
    }
}

void step_through(event_loop& loop, const std::shared_ptr<mt::conformance_task>& steps, std::size_t at) {
    (*steps)[at]();
    if (at + 1 < steps->size()) loop.post([&loop, steps, at] { step_through(loop, steps, at + 1); });
}
void in_an_event_loop(const tasks_type& tasks) {
    event_loop loop;
    for (const mt::conformance_task& task : tasks)
        loop.begin([&loop, steps = std::make_shared<mt::conformance_task>(task)] { step_through(loop, steps, 0); });
    loop.run();
}

TEST(context_conformance, the_example_conforms) { EXPECT_EQ(faults_of<conversation_context>(&in_an_event_loop), ""); }

TEST(context_conformance, the_tasks_of_the_library_conform) {
    EXPECT_EQ(faults_of<mt::coroutine_context>([](const tasks_type& tasks) {
                  std::vector<mt::task_context> contexts;
                  for (std::size_t i = 0; i < tasks.size(); ++i) contexts.push_back(mt::task_context::start());
                  in_turns(tasks, [&](std::size_t task, const auto& step) {
                      const mt::task_context::running here(contexts[task]);
                      step();
                  });
              }),
              "");
}

TEST(context_conformance, the_tasks_of_the_library_conform_on_other_threads_each_time) {
    EXPECT_EQ(faults_of<mt::coroutine_context>([](const tasks_type& tasks) {
                  std::vector<mt::task_context> contexts;
                  for (std::size_t i = 0; i < tasks.size(); ++i) contexts.push_back(mt::task_context::start());
                  in_turns(tasks, [&](std::size_t task, const auto& step) {
                      std::thread([&] {
                          const mt::task_context::running here(contexts[task]);
                          step();
                      }).join();
                  });
              }),
              "");
}

TEST(context_conformance, a_slot_of_the_thread_does_not) {
    const auto faults = faults_of<mt::thread_local_context>(
        [](const tasks_type& tasks) { in_turns(tasks, [](std::size_t, const auto& step) { step(); }); });
    EXPECT_NE(faults.find("8 tasks that take turns, with a trace each: a span of task-"), std::string::npos)
        << faults;
    EXPECT_NE(faults.find("is in no user's trace"), std::string::npos) << faults;
}

// Contexts of tasks with one thing wrong: `Twist` chooses the slot.
template <class Twist>
struct twisted_context {
    static mt::context_slot* slot() noexcept { return Twist::slot(); }
};
// In turns, each in a slot of its own, which is made as Twist says.
template <class Twist>
std::string faults_of_twisted() {
    return faults_of<twisted_context<Twist>>([](const tasks_type& tasks) {
        std::vector<std::unique_ptr<mt::context_slot>> slots;
        for (std::size_t i = 0; i < tasks.size(); ++i) slots.push_back(Twist::make());
        in_turns(tasks, [&](std::size_t task, const auto& step) {
            Twist::enter(slots[task].get());
            step();
            Twist::leave();
        });
        Twist::end(slots);
    });
}
struct right {
    static inline mt::context_slot* now = nullptr;
    static mt::context_slot* slot() noexcept { return now; }
    static auto make() { return std::make_unique<mt::context_slot>(mt::context_slot{.is_of_task = true}); }
    static void enter(mt::context_slot* of) { now = of; }
    static void leave() { now = nullptr; }
    static void end(std::vector<std::unique_ptr<mt::context_slot>>& slots) {
        for (auto& each : slots) each->release();
    }
};
struct one_for_all : right {
    static inline mt::context_slot only{.is_of_task = true};
    static mt::context_slot* slot() noexcept { return &only; }
};
struct none : right {
    static mt::context_slot* slot() noexcept { return nullptr; }
};
struct the_one_before : right {
    static inline mt::context_slot* before = nullptr;
    static mt::context_slot* slot() noexcept { return before; }
    static void enter(mt::context_slot* of) { before = before ? before : of; }
    static void leave() {}
    static void end(std::vector<std::unique_ptr<mt::context_slot>>& slots) {
        before = nullptr;
        right::end(slots);
    }
};
struct never_given_back : right {
    static inline mt::context_slot kept{.is_of_task = true};
    static inline bool is_kept = false;
    static void enter(mt::context_slot* of) { now = is_kept ? &kept : of; }
    static void end(std::vector<std::unique_ptr<mt::context_slot>>& slots) {
        if (!is_kept) std::swap(kept, *slots.front());
        is_kept = true;
        right::end(slots);
    }
};

TEST(context_conformance, a_slot_for_each_task_conforms) { EXPECT_EQ(faults_of_twisted<right>(), ""); }

TEST(context_conformance, finds_what_is_wrong_with_others) {
    EXPECT_NE(faults_of_twisted<one_for_all>(), "");
    EXPECT_NE(faults_of_twisted<none>().find("slot() is null inside a task"), std::string::npos);
    EXPECT_NE(faults_of_twisted<the_one_before>(), "");
    EXPECT_NE(faults_of_twisted<never_given_back>().find("a new task has a current span"), std::string::npos);
}

} // namespace
