// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "retriever.hpp"
#include "text.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chat {

/// One message of a prompt. `role` is "system", "user", "assistant" or "tool".
struct message {
    std::string role;
    std::string content;
};

/// The text that begins each passage within the system message.
inline constexpr std::string_view passage_mark = "\n## ";

/// The prompt: the passages in a system message, the last messages of the session, the user's message, and the result
/// of a tool if one was called.
inline std::vector<message> make_prompt(const std::vector<passage>& passages, const std::vector<message>& history,
                                        std::string_view user_message,
                                        const std::optional<std::string>& tool_result = {}) {
    std::string instructions = "You are the support assistant of a bike-sharing service. Answer only from the help "
                               "articles below, and say so if they hold no answer.\n";
    for (const passage& p : passages)
        instructions.append(passage_mark).append(p.title).append("\n").append(p.text).append("\n");
    std::vector<message> prompt{{"system", std::move(instructions)}};
    constexpr std::size_t remembered = 8; // messages: four turns, so that a long session fits into the context window
    const auto kept = static_cast<std::ptrdiff_t>(std::min(history.size(), remembered));
    prompt.insert(prompt.end(), history.end() - kept, history.end());
    prompt.push_back({"user", std::string{user_message}});
    if (tool_result) prompt.push_back({"tool", *tool_result});
    return prompt;
}

/// Whether a message is incomplete without the previous turn, such as "And for students?".
inline bool is_follow_up(std::string_view user_message) {
    const std::string text = lower(user_message);
    for (const std::string_view opening : {"and ", "what about", "how about", "or ", "so ", "but ", "what if"})
        if (text.starts_with(opening)) return true;
    for (const std::string_view token : tokenize(text))
        if (token == "it" || token == "that" || token == "then" || token == "this") return true;
    return topic_words(text).size() == 1 && count_tokens(text) < 5; // "For students?"
}

/// The user's message; for a follow-up, preceded by the user's previous message. Used for retrieval and for choosing
/// a tool.
inline std::string standalone_question(const std::vector<message>& history, std::string_view user_message) {
    if (is_follow_up(user_message))
        for (auto former = history.rbegin(); former != history.rend(); ++former)
            if (former->role == "user") return former->content + " " + std::string{user_message};
    return std::string{user_message};
}

} // namespace chat
