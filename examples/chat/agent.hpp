// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"
#include "retriever.hpp"
#include "tools.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/chat.hpp>

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

namespace chat {

namespace mt = mlflow::trace;

/// How the answer is sent to the user: a metadata key of this application.
using delivery = mt::key<"chat.delivery", mt::one_of<"whole", "streamed">>;

/// The metadata of every trace of this application.
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::optional<delivery>>;

/// The tools that the agent may call, as MLflow's page lists them on the model's span.
inline constexpr mt::tool_definition tool_definitions[] = {
    {"price", "What a single ride costs",
     R"({"type": "object", "properties": {"argument": {"type": "string", "description": "20 minutes on an e-bike"}}})"},
    {"calculate", "The result of a sum",
     R"({"type": "object", "properties": {"argument": {"type": "string", "description": "2 * (3 + 4) - 1"}}
})"},
    {"convert", "Kilometres in miles, and miles in kilometres",
     R"({"type": "object", "properties": {"argument": {"type": "string", "description": "60 km in miles"}}})"}};

/// The prompt for the model, and the tool call whose result it contains.
struct prompt : std::vector<message> {
    std::optional<tool_call> called{};
};

/// The prompt in the form that MLflow's page shows as messages.
inline std::vector<mt::message> recorded(const prompt& asked) {
    std::vector<mt::message> messages;
    for (const auto& [role, content] : asked) {
        if (role == "tool" && asked.called) {
            const auto arguments = mt::json_text(mt::arg("argument", asked.called->argument));
            const mt::tool_call call{.id = "call_1", .name = asked.called->name, .arguments = arguments};
            messages.push_back(mt::message::assistant({call}));
            messages.push_back(mt::message::tool(call.id.view(), content));
        } else if (auto known = mt::message::parse(role, content)) {
            messages.push_back(std::move(*known));
        }
    }
    return messages;
}
inline mt::completion recorded(const completion& done) {
    mt::completion shown{.message = mt::message::assistant(done.text)};
    if (!done.finish_reason.empty()) shown.finish_reason = done.finish_reason;
    if (done.tool_calls.empty()) return shown;
    std::vector<mt::tool_call> calls;
    calls.reserve(done.tool_calls.size());
    for (const auto& [id, name, arguments] : done.tool_calls)
        calls.push_back({.id = id, .name = name, .arguments = arguments});
    shown.message = mt::message::assistant(std::move(calls), done.text);
    return shown;
}
inline std::vector<mt::document> recorded(const std::vector<passage>& found) {
    std::vector<mt::document> documents;
    documents.reserve(found.size());
    for (const passage& each : found)
        documents.push_back({.page_content = each.text,
                             .doc_uri = each.document + ".md",
                             .score = each.score,
                             .metadata = {{"title", each.title}}});
    return documents;
}

/// One turn of a conversation, with a checked identity.
struct turn {
    mt::maybe<mt::user> user = mt::anonymous;
    mt::maybe<mt::session> session = mt::no_session;
    std::optional<mt::client_request_id> request_id{};
    std::string message;
    bool stream = false;
    std::stop_token stop{}; ///< requested when the client no longer waits for the answer
};

/// Answers messages and records each turn as a trace: the agent's span with retrieval, tool and model spans as
/// children. `Model` has the members of the built-in model. Thread-safety: any number of threads, if the model allows
/// it.
template <class Tracer, class Model = model>
class agent {
public:
    agent(Tracer& tracer, const std::filesystem::path& corpus, Model answers = {})
        : tracer_(tracer), retriever_(corpus), model_(std::move(answers)) {}

    /// Returns the answer. An exception of the tool or model is recorded, with the partial answer, and propagated.
    std::string answer(const turn& asked) {
        auto trace = tracer_.start_trace("chat", asked.user, asked.session, mt::span_type::agent);
        if (asked.request_id) trace.set(*asked.request_id);
        return answer_in(trace, asked, [](std::string_view) {});
    }

    /// The same in an existing trace. `on_chunk(std::string_view)` is called with the pieces of a streamed answer.
    template <class Trace, class OnChunk>
    std::string answer_in(Trace& trace, const turn& asked, OnChunk&& on_chunk) {
        describe(trace, asked);
        return trace.run([&] {
            try {
                std::string text = ask_model(prompt_for(asked), asked, on_chunk);
                trace.outputs(text);
                remember(asked, text);
                return text;
            } catch (const broken_answer& broken) {
                keep(trace, broken);
                throw;
            }
        });
    }

    /// The steps of `answer_in`, for callers that call the model differently.
    template <class Trace>
    static void describe(Trace& trace, const turn& asked) {
        if (asked.stream) trace.set(delivery{"streamed"});
        trace.inputs(mt::arg("message", asked.message));
    }

    prompt prompt_for(const turn& asked) {
        const std::vector<message> history = history_of(asked);
        const std::string question = standalone_question(history, asked.message);
        const auto passages = retrieve(question);
        auto called = choose_tool(question);
        std::optional<std::string> result;
        if (called) result = use_tool(*called);
        return {make_prompt(passages, history, asked.message, result), std::move(called)};
    }

    template <class OnChunk>
    std::string ask_model(const prompt& question, const turn& asked, OnChunk& on_chunk) {
        auto span = tracer_.start_span("complete", mt::span_type::chat_model);
        span.model(model_.name).inputs(mt::arg("model", model_.name), mt::arg("messages", [&] {
                                           return recorded(question);
                                       }));
        mt::set_tools(span, tool_definitions);
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
                const completion done = asked.stream ? model_.stream(question, pass_on, asked.stop)
                                                     : model_.complete(question, asked.stop);
                record(span, done);
                return done.text;
            } catch (const broken_answer& broken) {
                record(span, broken.so_far());
                throw;
            }
        });
    }

    /// For an incomplete answer: records the partial text in the trace, and adds nothing to the conversation.
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
        span.outputs([&] { return recorded(done); });
    }

    /// A session belongs to one user: with another user, the same ID is a different conversation.
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
        span.outputs([&] { return recorded(passages); });
        return passages;
    }

    std::string use_tool(const tool_call& call) {
        auto span = tracer_.start_span(call.name, mt::span_type::tool);
        span.inputs(mt::arg("argument", call.argument));
        return span.run([&] {
            std::string result = run_tool(call);
            span.outputs(result);
            return result;
        });
    }

    Tracer& tracer_;
    retriever retriever_;
    Model model_;
    std::mutex lock_;
    std::map<std::pair<std::string, std::string>, std::vector<message>> histories_;
};

} // namespace chat
