// SPDX-License-Identifier: Apache-2.0
// A context of one's own: what is current belongs to a conversation, whose callbacks take turns with those of others.
#pragma once

#include <mlflow/trace/context/slot.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <utility>

// Runs callbacks in the order in which they were posted, each in the conversation that posted it.
class event_loop {
public:
    using callback = std::function<void()>;

    // In a new conversation, where nothing is current.
    void begin(callback first) { waiting_.push_back({std::make_shared<conversation>(), std::move(first)}); }
    // In the conversation that runs.
    void post(callback next) { waiting_.push_back({running_, std::move(next)}); }

    // Until nothing waits any more.
    void run() {
        while (!waiting_.empty()) {
            auto [of, next] = std::move(waiting_.front());
            waiting_.pop_front();
            running_ = std::move(of);
            next();
            next = nullptr; // what it holds ends in its conversation
            running_.reset();
        }
    }

private:
    friend class conversation_context;

    struct conversation {
        ~conversation() { slot.release(); }
        mlflow::trace::context_slot slot{.is_of_task = true}; // and not of a thread, which others use as well
    };
    struct event {
        std::shared_ptr<conversation> of;
        callback next;
    };

    static inline thread_local std::shared_ptr<conversation> running_;
    std::deque<event> waiting_;
};

class conversation_context {
public:
    // All that a context must have: the slot of whatever runs now, or null where nothing can be current.
    static mlflow::trace::context_slot* slot() noexcept {
        return event_loop::running_ ? &event_loop::running_->slot : nullptr;
    }
};
