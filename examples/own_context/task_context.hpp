// SPDX-License-Identifier: Apache-2.0
// A context of one's own: tasks that take turns on one thread, each with its own current span.
#pragma once

#include <mlflow/trace/context/slot.hpp>

#include <deque>
#include <functional>
#include <utility>

class task_context {
public:
    // All that a context must have: the slot of whatever runs now.
    static mlflow::trace::context_slot* slot() noexcept { return running_; }

private:
    friend class task_queue;
    static inline thread_local mlflow::trace::context_slot* running_ = nullptr;
};

// Runs a step of each task in turn, until none has a step left.
class task_queue {
public:
    using step = std::function<bool()>; // false after the last one

    ~task_queue() {
        for (auto& each : tasks_) each.slot.release();
    }

    void add(step next) { tasks_.push_back({std::move(next), {}}); }
    void run() {
        while (!tasks_.empty()) {
            task current = std::move(tasks_.front());
            tasks_.pop_front();
            task_context::running_ = &current.slot;
            const bool goes_on = current.next();
            task_context::running_ = nullptr;
            if (goes_on) tasks_.push_back(std::move(current));
            else current.slot.release();
        }
    }

private:
    struct task {
        step next;
        mlflow::trace::context_slot slot;
    };
    std::deque<task> tasks_;
};
