// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "application.hpp"
#include <mlflow/trace/context/asio.hpp> // before other headers of Boost.Asio

#include <boost/asio/detached.hpp>

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chat_server {

/// The same server, with a coroutine for each turn. Coroutines take turns on one thread; the model, which blocks,
/// runs on other threads. For a tracer with `coroutine_context`.
template <class Tracer>
class coroutine_application : public application<Tracer> {
    using base = application<Tracer>;
    using reply_to = turn_reply<typename Tracer::trace>;

public:
    coroutine_application(Tracer& tracer, const typename base::options& chosen)
        : base(tracer, chosen), turns_(1), models_(chosen.threads) {}
    ~coroutine_application() override { finish(); }

    void finish() override {
        this->workers_.join(); // which start turns
        turns_.join();
        models_.join();
        base::finish();
    }

private:
    void answer(chat::turn turn, identity who, std::shared_ptr<exchange> to) override {
        mt::co_spawn(turns_, take(std::move(turn), std::move(who), std::move(to)), asio::detached);
    }

    asio::awaitable<void> take(chat::turn turn, identity who, std::shared_ptr<exchange> to) {
        auto trace = this->start(who); // current only in this task, also after each suspension
        reply_to reply(trace, who, turn.stream, *to);
        try {
            const std::string text = co_await trace.run([&] { return answer_in(trace, turn, reply); });
            reply.complete(text);
            reply.send(this->end(trace, turn));
        } catch (const std::exception& error) {
            reply.fail(error);
        }
    }

    asio::awaitable<std::string> answer_in(typename Tracer::trace& trace, const chat::turn& turn, reply_to& reply) {
        this->agent_.describe(trace, turn);
        const auto prompt = this->agent_.prompt_for(turn); // its spans are part of the trace
        try {
            std::string text = co_await mt::co_spawn(models_, ask_model(prompt, turn, reply), asio::use_awaitable);
            trace.outputs(text);
            this->agent_.remember(turn, text);
            co_return text;
        } catch (const chat::broken_answer& broken) {
            this->agent_.keep(trace, broken);
            throw;
        }
    }

    // Runs on a thread of the models; its spans are part of the trace too.
    asio::awaitable<std::string> ask_model(const chat::prompt& prompt, const chat::turn& turn, reply_to& reply) {
        const auto on_chunk = [&](std::string_view piece) { reply.add(piece); };
        co_return this->agent_.ask_model(prompt, turn, on_chunk);
    }

    asio::thread_pool turns_;
    asio::thread_pool models_;
};

} // namespace chat_server
