// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "json_documents.hpp"
#include "model_text.hpp"
#include "model_usage.hpp"
#include <mlflow/trace/text/displayed.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chat_server {

/// A tool call requested by the model.
struct model_tool_call {
    std::string id;
    std::string name;
    std::string arguments; ///< JSON, as the model wrote it
    bool operator==(const model_tool_call&) const = default;
};

/// The answer of a model. All texts are UTF-8.
struct model_answer {
    std::string text; ///< the refusal, if there is no other text
    std::string refusal{};
    std::string reasoning{};
    std::string finish_reason{}; ///< stop, length, content_filter, tool_calls, … as sent by the server; may be empty
    std::vector<model_tool_call> tool_calls{};
    std::size_t input_tokens = 0; ///< 0: not reported by the server
    std::size_t output_tokens = 0;
    bool operator==(const model_answer&) const = default;
};

/// An invalid response of the model's server.
class model_error : public std::runtime_error {
public:
    explicit model_error(const std::string& what) : runtime_error("the model's server " + what) {}
};

/// One line about the error in a server's JSON: its message, or all of it.
inline std::string message_in(json_value error) {
    using kind = json_value::kind;
    if (error.is(kind::text)) return mlflow::trace::detail::displayed(error.text(), 300);
    for (const char* const name : {"message", "error", "detail", "msg"})
        if (const auto inner = error[name]; !inner.is(kind::null) && !(inner.is(kind::text) && inner.raw().empty()))
            return message_in(inner);
    return mlflow::trace::detail::displayed(text_of(error), 300);
}

/// Assembles an answer from the JSON that servers send: a chat completion, or its chunks in order. If there are
/// several choices, the first one is the answer.
class answer_builder {
public:
    using piece_handler = std::function<void(std::string_view)>;

    /// `on_piece` is called with each new piece of the answer's text.
    explicit answer_builder(piece_handler on_piece) : on_piece_(std::move(on_piece)) {}

    /// Throws model_error if the document is an error, or if the answer exceeds 16 MiB.
    void take(json_value document) {
        if (document.is(kind::array)) {
            for (const json_value each : document) take(each);
            return;
        }
        refuse_errors(document, true);
        usage_.read(document);
        const json_value choices = document["choices"];
        if (document["message"].is(kind::object) && !choices.is(kind::array)) // Ollama's own format
            return take_choice(0, document["message"], false,
                               document["done"].is_true() ? document.any_of("done_reason", "done") : json_value());
        std::size_t position = 0;
        for (const json_value choice : choices) {
            const auto given = choice["index"].integer();
            const auto index = given && *given >= 0 ? static_cast<std::size_t>(*given) : position;
            ++position;
            if (!choice.is(kind::object) || index >= most_choices) continue;
            refuse_errors(choice, false);
            const json_value delta = choice["delta"], message = choice["message"];
            const bool is_whole = delta.empty() && message.is(kind::object);
            take_choice(index,
                        is_whole        ? message
                        : delta.empty() ? choice
                                        : delta,
                        is_whole, choice["finish_reason"]);
        }
    }

    [[nodiscard]] bool has_choice() const { return !choices_.empty(); }
    /// Whether the server has sent the reason for the end, or the whole answer at once.
    [[nodiscard]] bool is_finished() const { return has_choice() && choices_.begin()->second.is_finished; }

    /// The answer so far.
    [[nodiscard]] model_answer answer() const {
        model_answer all;
        if (has_choice()) {
            const one_choice& first = choices_.begin()->second;
            all.refusal = first.refusal.whole();
            all.text = first.content.empty() ? all.refusal : first.content.whole();
            all.reasoning = first.reasoning.whole();
            all.finish_reason = first.finish_reason;
            for (const auto& [index, call] : first.calls)
                all.tool_calls.push_back({call.id, call.name, call.arguments.whole()});
        }
        usage_.write(all.input_tokens, all.output_tokens);
        return all;
    }
    /// Call at the end. Passes on incomplete characters, and the text of a choice with an unexpected index.
    void end() {
        if (!has_choice()) return;
        auto& [index, first] = *choices_.begin();
        if (index != 0) return pass_on(answer().text);
        pass_on(first.content.empty() ? first.refusal.end() : first.content.end());
    }

private:
    using kind = json_value::kind;
    static constexpr std::size_t most_choices = 128;
    static constexpr std::size_t most_calls = 1024;
    static constexpr std::size_t most_bytes = std::size_t{16} * 1024 * 1024;

    struct one_call {
        std::string id, name;
        joined_text arguments;
    };
    struct one_choice {
        joined_text content, refusal, reasoning;
        std::map<std::size_t, one_call> calls;
        std::string finish_reason;
        std::string last_content; // of the chunk that finished it
        bool is_finished = false;
    };

    // Some servers send the field with successful responses too, without a meaning.
    static bool says_nothing(json_value value) {
        if (value.is(kind::text)) return value.raw().find_first_not_of(" \t") == std::string_view::npos;
        if (value.is(kind::number)) return value.number() == 0;
        if (value.is(kind::boolean)) return !value.is_true();
        for (const json_value each : value)
            if (!says_nothing(each)) return false;
        return true;
    }
    static void refuse_errors(json_value object, bool is_document) {
        const json_value error = object["error"];
        if (!says_nothing(error))
            throw model_error("sent an error: " + message_in(error.is(kind::boolean) ? object : error));
        const auto is_error = [&](const char* name) { return object[name].raw() == "error"; };
        const bool is_message = is_document && object["message"].is(kind::text) && !says_nothing(object["message"]) &&
                                object["choices"].empty();
        if (is_error("object") || is_error("type") || is_error("finish_reason") || is_message)
            throw model_error("sent an error: " + message_in(object));
    }

    // `said` is a message, or the next part of one.
    void take_choice(std::size_t index, json_value said, bool is_whole, json_value finish) {
        one_choice& to = choices_[index];
        json_value content = said.any_of("content", "text");
        if (content.is(kind::null) && said["message"].is(kind::text)) content = said["message"];
        const bool is_finish = !finish.is(kind::null) && !finish.raw().empty() && finish.raw() != "null";
        const bool is_first = to.content.empty() && to.refusal.empty() && to.calls.empty();
        // The last chunk may be repeated, and the whole message may follow its chunks.
        const bool is_again = to.is_finished && is_finish && text_of(content) == to.last_content;
        if (is_finish) {
            if (finish.is(kind::text)) to.finish_reason = finish.text();
            to.last_content = text_of(content);
        }
        to.is_finished = to.is_finished || is_finish || is_whole;
        if (is_again || (is_whole && !is_first)) return;
        take_content(index, to, content);
        add(index, to, to.refusal, said["refusal"]);
        for (const char* const name : {"reasoning_content", "reasoning", "thinking"}) {
            const json_value reasoning = said[name];
            if (!reasoning.is(kind::text) || reasoning.raw().empty()) continue;
            add(index, to, to.reasoning, reasoning); // servers may send it under two names
            break;
        }
        for (const json_value call : said["tool_calls"]) take_call(to, call);
        if (said["function_call"].is(kind::object)) take_function(to.calls[0], said["function_call"]);
    }

    // The content is a text, or a list of parts of several kinds.
    void take_content(std::size_t index, one_choice& to, json_value content) {
        if (content.is(kind::text)) return add(index, to, to.content, content);
        if (content.is(kind::array)) {
            for (const json_value part : content) take_content(index, to, part);
            return;
        }
        if (!content.is(kind::object)) return;
        const json_value type = content["type"];
        if (type.raw() == "refusal") return add(index, to, to.refusal, content.any_of("refusal", "text"));
        if (type.raw() == "thinking" || type.raw() == "reasoning") {
            const json_value thought = content.any_of("thinking", "reasoning");
            for (const json_value part : thought) add(index, to, to.reasoning, part["text"]);
            return add(index, to, to.reasoning, thought.is(kind::null) ? content["text"] : thought);
        }
        const json_value text = content["text"];
        add(index, to, to.content, text.is(kind::object) ? text["value"] : text);
    }

    void add(std::size_t index, one_choice& choice, joined_text& to, json_value text) {
        if (!text.is(kind::text)) return;
        count(text.raw().size());
        const std::string piece = to.add(text.raw());
        const bool is_shown = &to == &choice.content || (&to == &choice.refusal && choice.content.empty());
        if (index == 0 && is_shown) pass_on(piece);
    }
    void pass_on(std::string_view piece) {
        if (!piece.empty() && on_piece_) on_piece_(piece);
    }
    void count(std::size_t bytes) {
        bytes_ += bytes;
        if (bytes_ > most_bytes) throw model_error("answered with more than 16 MiB");
    }

    // Calls are told apart by their index. Without an index, or if all are equal, a name with a new ID begins the
    // next call.
    void take_call(one_choice& to, json_value call) {
        const std::string id = call["id"].text();
        const auto given = call["index"].integer();
        const std::size_t last = to.calls.empty() ? 0 : to.calls.rbegin()->first;
        std::size_t index = given && *given >= 0 ? static_cast<std::size_t>(*given) : last;
        if (const auto open = to.calls.find(index); open != to.calls.end()) {
            const bool is_new = id.empty() ? !given : id != open->second.id;
            if (is_new && !call["function"]["name"].raw().empty()) index = last + 1;
        }
        if (to.calls.size() >= most_calls) throw model_error("called more than 1024 tools");
        one_call& known = to.calls[index];
        if (known.id.empty()) known.id = id;
        take_function(known, call["function"]);
    }
    void take_function(one_call& to, json_value function) {
        const std::string name = function["name"].text();
        count(name.size());
        if (name != to.name) to.name += name; // some servers repeat it with each chunk
        const json_value arguments = function["arguments"];
        count(arguments.raw().size());
        if (arguments.is(kind::text)) to.arguments.add(arguments.raw());
        else if (arguments.is(kind::object)) to.arguments.add_whole(text_of(arguments));
    }

    piece_handler on_piece_;
    std::map<std::size_t, one_choice> choices_;
    usage_reader usage_;
    std::size_t bytes_ = 0;
};

} // namespace chat_server
