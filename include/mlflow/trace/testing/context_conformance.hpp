// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/exporters/memory.hpp>
#include <mlflow/trace/platform/hosted.hpp>
#include <mlflow/trace/spans/capture.hpp>
#include <mlflow/trace/spans/tracer.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The steps of a task, in order. The task is suspended between two steps.
using conformance_task = std::vector<std::function<void()>>;

/// Checks that a context policy keeps tasks apart whose steps are interleaved: coroutines, fibers, jobs, callbacks of
/// an event loop. Use it in a test, with any test framework:
///
///     mt::context_conformance<my_context> suite([](std::vector<mt::conformance_task> tasks) { run_all(tasks); });
///     for (const std::string& fault : suite.faults()) ADD_FAILURE() << fault;
///
/// The function runs each step in the context of its task: the steps of one task in order, and those of different
/// tasks interleaved, on any threads. It returns when all tasks have ended. A policy whose slot belongs to a thread,
/// such as `thread_local_context`, does not conform, because several tasks run on one thread. The checks themselves
/// take a few milliseconds.
///
/// Thread-safety: none.
template <class T>
class context_conformance {
    static_assert(context<T>, "the context policy lacks a member: static mlflow::trace::context_slot* slot()");
    static_assert(detail::has_whole_context<T>());
    static_assert(detail::is_ambient<T>, "this context policy never has a current span, so there is nothing to test");

public:
    /// Runs the tasks. See above.
    using runner = std::function<void(std::vector<conformance_task>)>;

    /// Stores the function that runs the tasks.
    explicit context_conformance(runner run) : run_(std::move(run)) {}

    /// Runs the checks. Returns one line per fault; empty if the context conforms.
    [[nodiscard]] std::vector<std::string> faults() {
        faults_.clear();
        for (const int tasks : {1, 8}) {
            const std::string of = std::to_string(tasks) + (tasks == 1 ? " task" : " tasks that take turns");
            check(of + ", with a trace each", tasks, &step_of_a_trace);
            check(of + ", with a scope each", tasks, &step_in_a_scope);
            check(of + ", with spans that end one step later", tasks, &step_of_late_ends);
            check(of + ", with every other one not recorded", tasks, &step_half_off);
            check(of + ", with traces that are still open when their task is over", tasks, &step_left_open);
        }
        check_bound();
        return faults_;
    }

private:
    using tracer_type = tracer<open_schema, T, memory_exporter>;
    using scope_type = basic_scope<T>;
    static constexpr int last_step = 5;

    // The state that a task keeps between its steps.
    struct task_state {
        tracer_type& tracer;
        int number;
        std::string owner = "task-" + std::to_string(number);
        std::unique_ptr<scope_type> scope{};
        typename tracer_type::trace trace{};
        typename tracer_type::span span{};

        // A span named after the owner; its name is compared with the user of the trace that contains it.
        auto start_span() { return tracer.start_span(owner); }
        void start_trace() { trace = tracer.start_trace(owner, known()); }
        [[nodiscard]] user known() const { return user::parse(owner).value(); }
    };
    using step = void (*)(task_state&, int at);

    static void step_of_a_trace(task_state& task, int at) {
        if (at == 0) return task.start_trace();
        task.start_span().end();
        if (at == last_step) task.trace.end();
    }
    static void step_in_a_scope(task_state& task, int at) {
        if (at == 0) task.scope.reset(new scope_type(task.tracer.scope(task.known())));
        task.start_span().end();
        if (at == last_step) task.scope.reset();
    }
    static void step_of_late_ends(task_state& task, int at) {
        if (at == 0) return task.start_trace();
        task.span.end();
        if (at == last_step) return task.trace.end();
        task.span = task.start_span();
    }
    static void step_half_off(task_state& task, int at) {
        const bool is_off = task.number % 2 == 1;
        if (at == 0 && is_off) task.span = task.tracer.untraced();
        if (at == 0 && !is_off) return task.start_trace();
        if (is_off) static_cast<void>(task.tracer.start_span("recorded in a task in which nothing is"));
        else task.start_span().end();
        if (at < last_step) return;
        task.span.end();
        task.trace.end();
    }
    static void step_left_open(task_state& task, int at) {
        if (at == 0) return task.start_trace();
        task.start_span().end();
    }

    void check(const std::string& name, int count, step run_step) {
        tracer_type tracer;
        {
            std::vector<std::unique_ptr<task_state>> states;
            std::vector<conformance_task> tasks;
            for (int number = 0; number < count; ++number) {
                states.push_back(std::make_unique<task_state>(task_state{tracer, number}));
                auto& steps_of = tasks.emplace_back();
                for (int at = 0; at <= last_step; ++at)
                    steps_of.emplace_back([this, &name, task = states.back().get(), at, run_step] {
                        if (at == 0 && !T::slot()) fault(name, "slot() is null inside a task");
                        run_step(*task, at);
                    });
            }
            run_(std::move(tasks));
            run_alone(tracer);
        }
        check_traces(name, tracer);
    }

    // A function that is bound in one task and runs in another belongs to the first; afterwards the second task
    // continues with its own context.
    void check_bound() {
        const std::string name = "a function that is bound in one task and called in another";
        tracer_type tracer;
        {
            task_state first{tracer, 1};
            task_state second{tracer, 2};
            std::function<void()> bound;
            run_({{[&] {
                first.start_trace();
                bound = bind<T>([&first] { first.start_span().end(); });
            }}});
            run_({{[&] { second.start_trace(); },
                   [&] {
                       bound();
                       second.start_span().end();
                   },
                   [&] { second.start_span().end(); }}});
            run_alone(tracer);
        }
        check_traces(name, tracer);
    }

    // Records a span in a task that begins after the others have ended; it must be a trace of its own.
    void run_alone(tracer_type& tracer) {
        run_({{[&tracer] { tracer.start_span("alone").end(); }}});
    }

    void check_traces(const std::string& name, tracer_type& tracer) {
        bool is_alone = false;
        for (const recorded_trace& trace : tracer.exporter().take()) {
            const std::string owner = trace.metadata[user::name];
            for (const recorded_span& span : trace.spans) {
                if (span.name == "alone") {
                    is_alone = owner.empty() && trace.spans.size() == 1;
                } else if (span.name != owner) {
                    fault(name, owner.empty() ? "a span of " + span.name + " is in no user's trace"
                                              : "a span of " + span.name + " is in the trace of " + owner);
                }
            }
        }
        if (!is_alone) fault(name, "a new task has a current span");
        if (tracer.refused_values() != 0)
            fault(name, "the tracer found traces that take turns in one slot: give each task a slot of its own, made "
                        "as context_slot{.is_of_task = true}");
        if (tracer.account().open != 0) fault(name, "spans stay open");
    }

    void fault(const std::string& name, const std::string& what) {
        std::string line = name + ": " + what;
        if (std::find(faults_.begin(), faults_.end(), line) == faults_.end()) faults_.push_back(std::move(line));
    }

    runner run_;
    std::vector<std::string> faults_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
