// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"
#include "retriever.hpp"
#include "tools.hpp"
#include <mlflow/trace.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// How a passage that was found is recorded.
template <>
struct mlflow::trace::json_encoder<chat::passage> {
    template <class Buffer>
    static bool append(Buffer& out, const chat::passage& found) {
        return json_object(out)
            .member("document", found.document)
            .member("text", found.text)
            .member("score", found.score)
            .close();
    }
};

template <>
struct mlflow::trace::json_encoder<chat::message> {
    template <class Buffer>
    static bool append(Buffer& out, const chat::message& said) {
        return json_object(out).member("role", said.role).member("content", said.content).close();
    }
};

template <>
struct mlflow::trace::json_encoder<chat::tool_request> {
    template <class Buffer>
    static bool append(Buffer& out, const chat::tool_request& call) {
        return json_object(out)
            .member("id", call.id)
            .member("name", call.name)
            .member("arguments", call.arguments)
            .close();
    }
};

namespace chat {

namespace mt = mlflow::trace;

/// How the answer goes to the user: a metadata key of this application.
using delivery = mt::key<"chat.delivery", mt::one_of<"whole", "streamed">>;

/// What every trace of this application says about itself.
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::optional<delivery>>;

/// One turn of a conversation, with an identity that is checked.
struct turn {
    mt::maybe<mt::user> user = mt::anonymous;
    mt::maybe<mt::session> session = mt::no_session;
    std::optional<mt::client_request_id> request_id{};
    std::string message;
    bool stream = false;
    std::stop_token stop{}; ///< requested: nobody waits for the answer any more
};

/// Answers messages, and records each turn as a trace: the agent's span around retrieval, tool and model. `Model` has
/// what the built-in one has. Thread-safety: any number of threads, if the model takes them.
template <class Tracer, class Model = model>
class agent {
public:
    agent(Tracer& tracer, const std::filesystem::path& corpus, Model answers = {})
        : tracer_(tracer), retriever_(corpus), model_(std::move(answers)) {}

    /// The answer. What the tool or the model throws is recorded, with what had come of the answer, and goes on to
    /// the caller.
    std::string answer(const turn& asked) {
        auto trace = tracer_.start_trace("chat", asked.user, asked.session, mt::span_type::agent);
        if (asked.request_id) trace.set(*asked.request_id);
        return answer_in(trace, asked, [](std::string_view) {});
    }

    /// The same in a trace that is open here; `on_chunk(std::string_view)` gets the pieces of a streamed answer.
    template <class Trace, class OnChunk>
    std::string answer_in(Trace& trace, const turn& asked, OnChunk&& on_chunk) {
        describe(trace, asked);
        return trace.run([&] {
            try {
                const std::string text = ask_model(prompt_for(asked), asked, on_chunk);
                trace.outputs(text);
                remember(asked, text);
                return text;
            } catch (const broken_answer& broken) {
                keep(trace, broken);
                throw;
            }
        });
    }

    /// The steps of `answer_in`, for who waits for the model in another way.
    template <class Trace>
    static void describe(Trace& trace, const turn& asked) {
        if (asked.stream) trace.set(delivery{"streamed"});
        trace.inputs(mt::arg("message", asked.message));
    }

    std::vector<message> prompt_for(const turn& asked) {
        const std::vector<message> history = history_of(asked);
        const std::string question = standalone_question(history, asked.message);
        const auto passages = retrieve(question);
        return make_prompt(passages, history, asked.message, use_tool(question));
    }

    template <class OnChunk>
    std::string ask_model(const std::vector<message>& prompt, const turn& asked, OnChunk& on_chunk) {
        auto span = tracer_.start_span("complete", mt::span_type::chat_model);
        span.model(model_.name).inputs(mt::arg("messages", prompt));
        return span.run([&] {
            const auto started = std::chrono::steady_clock::now();
            std::string sent;
            const auto pass_on = [&](std::string_view piece) {
                if (asked.stop.stop_requested()) throw broken_answer("cancelled by the client", {.text = sent}, true);
                if (sent.empty()) {
                    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started;
                    span.attribute("gen_ai.server.time_to_first_token", seconds.count());
                }
                sent += piece;
                span.chunk(piece);
                on_chunk(piece);
            };
            try {
                const completion done =
                    asked.stream ? model_.stream(prompt, pass_on, asked.stop) : model_.complete(prompt, asked.stop);
                record(span, done);
                return done.text;
            } catch (const broken_answer& broken) {
                record(span, broken.so_far());
                throw;
            }
        });
    }

    /// Of an answer that broke off the turn keeps what had come, and the conversation nothing.
    template <class Trace>
    static void keep(Trace& trace, const broken_answer& broken) {
        trace.outputs(broken.so_far().text);
        if (broken.is_cancelled()) trace.attribute("app.cancelled", true);
    }

    void remember(const turn& asked, const std::string& text) {
        constexpr std::size_t most_conversations = 10'000;
        constexpr std::size_t most_messages = 16;
        if (!asked.session.get()) return;
        const std::lock_guard guard(lock_);
        auto& history = histories_[conversation_of(asked)];
        history.push_back({"user", asked.message});
        history.push_back({"assistant", text});
        if (history.size() > most_messages) history.erase(history.begin(), history.begin() + 2);
        if (histories_.size() > most_conversations) histories_.erase(histories_.begin());
    }

private:
    template <class Span>
    static void record(Span& span, const completion& done) {
        if (done.input_tokens + done.output_tokens != 0)
            span.usage({.input = done.input_tokens, .output = done.output_tokens});
        if (!done.finish_reason.empty())
            span.attribute("gen_ai.response.finish_reasons", std::vector<std::string>{done.finish_reason});
        if (!done.reasoning.empty()) span.attribute("app.reasoning", done.reasoning);
        if (!done.tool_calls.empty()) span.attribute("app.tool_calls", done.tool_calls);
        span.outputs(done.text);
    }

    /// A session belongs to one user: the same ID under another user is another conversation.
    static std::pair<std::string, std::string> conversation_of(const turn& asked) {
        const auto text = [](const auto* key) { return std::string(key ? key->view() : std::string_view{}); };
        return {text(asked.user.get()), text(asked.session.get())};
    }

    std::vector<message> history_of(const turn& asked) {
        const std::lock_guard guard(lock_);
        const auto known = histories_.find(conversation_of(asked));
        return known == histories_.end() ? std::vector<message>{} : known->second;
    }

    std::vector<passage> retrieve(const std::string& question) {
        constexpr std::size_t wanted = 3;
        auto span = tracer_.start_span("retrieve", mt::span_type::retriever);
        span.inputs(mt::arg("query", question), mt::arg("k", wanted));
        auto passages = retriever_.search(question, wanted);
        span.outputs(passages);
        return passages;
    }

    std::optional<std::string> use_tool(const std::string& question) {
        const auto call = choose_tool(question);
        if (!call) return std::nullopt;
        auto tool = mt::traced<"tool", "name", "argument">(
            tracer_, [](const std::string& name, const std::string& argument) { return run_tool({name, argument}); },
            mt::span_type::tool);
        return tool(call->name, call->argument);
    }

    Tracer& tracer_;
    retriever retriever_;
    Model model_;
    std::mutex lock_;
    std::map<std::pair<std::string, std::string>, std::vector<message>> histories_;
};

} // namespace chat
