// SPDX-License-Identifier: Apache-2.0
// A context policy for an event loop: each conversation has its own current span, although its callbacks take turns
// with those of other conversations.
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

    // Starts a new conversation, without a current span.
    void begin(callback first) { waiting_.push_back({std::make_shared<conversation>(), std::move(first)}); }
    // Continues the running conversation.
    void post(callback next) { waiting_.push_back({running_, std::move(next)}); }

    // Returns when no callback is waiting.
    void run() {
        while (!waiting_.empty()) {
            auto [of, next] = std::move(waiting_.front());
            waiting_.pop_front();
            running_ = std::move(of);
            next();
            next = nullptr; // destroys its captures while its conversation is current
            running_.reset();
        }
    }

private:
    friend class conversation_context;

    struct conversation {
        ~conversation() { slot.release(); }
        mlflow::trace::context_slot slot{.is_of_task = true}; // belongs to a conversation, not to a thread
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
    // The only required member of a context policy: the slot of whatever is running, or null if nothing can be
    // current.
    static mlflow::trace::context_slot* slot() noexcept {
        return event_loop::running_ ? &event_loop::running_->slot : nullptr;
    }
};
