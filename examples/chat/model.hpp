// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "prompt.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chat {

/// A tool call requested by a model. `arguments` is JSON.
struct tool_request {
    std::string id, name, arguments;
};

/// The response of a chat model, with its token counts.
struct completion {
    std::string text;
    std::size_t input_tokens = 0;
    std::size_t output_tokens = 0;
    std::string finish_reason{}; ///< why the answer ends; empty: normally
    std::string reasoning{};     ///< the model's reasoning before the answer
    std::vector<tool_request> tool_calls{};
};

/// An answer that was interrupted. `what()` says why.
class broken_answer : public std::runtime_error {
public:
    broken_answer(const std::string& why, completion so_far, bool is_cancelled = false)
        : runtime_error(why), so_far_(std::move(so_far)), is_cancelled_(is_cancelled) {}
    const completion& so_far() const { return so_far_; }
    bool is_cancelled() const { return is_cancelled_; } ///< by the client

private:
    completion so_far_;
    bool is_cancelled_;
};

/// A chat model without weights or network: its answer consists of the sentences of the system message that match the
/// question best. The same prompt always gives the same answer.
///
/// Errors: std::invalid_argument for a prompt without a user message or with an empty one, std::length_error for more
/// than `context_window` tokens. Thread-safety: any number of threads may use one model.
class model {
public:
    static constexpr std::string_view name = "builtin";
    static constexpr std::size_t context_window = 2048; ///< tokens of a prompt

    completion complete(const std::vector<message>& prompt, const std::stop_token& = {}) const {
        completion result;
        for (const message& m : prompt) result.input_tokens += count_tokens(m.content);
        if (result.input_tokens > context_window)
            throw std::length_error("the prompt has " + std::to_string(result.input_tokens) + " tokens, the model " +
                                    "takes " + std::to_string(context_window));
        result.text = answer(conversation{prompt});
        result.output_tokens = count_tokens(result.text);
        return result;
    }

    /// As `complete`, and calls `on_chunk(std::string_view)` for every few words of the answer, in order.
    template <class OnChunk>
    completion stream(const std::vector<message>& prompt, OnChunk&& on_chunk, const std::stop_token& = {}) const {
        constexpr int words_per_chunk = 4;
        completion result = complete(prompt);
        const std::string_view text = result.text;
        for (std::size_t begin = 0; begin < text.size();) {
            std::size_t end = begin;
            for (int word = 0; word < words_per_chunk && end < text.size(); ++word)
                end = std::min(text.find(' ', end), text.size() - 1) + 1;
            on_chunk(text.substr(begin, end - begin));
            begin = end;
        }
        return result;
    }

private:
    /// The messages of a prompt by role.
    struct conversation {
        explicit conversation(const std::vector<message>& prompt) {
            std::vector<message> turns;
            for (const message& m : prompt) {
                if (m.role == "system") articles = m.content;
                else if (m.role == "tool") tool_result = m.content;
                else turns.push_back(m);
                if (m.role == "assistant") said += m.content + '\n';
            }
            if (turns.empty() || turns.back().role != "user")
                throw std::invalid_argument("the prompt has no user message");
            user_message = turns.back().content;
            if (tokenize(user_message).empty()) throw std::invalid_argument("the user message is empty");
            turns.pop_back();
            question = standalone_question(turns, user_message);
        }
        std::string articles, tool_result, said, user_message, question;
    };

    /// A sentence of the articles. `place` and `passage` are the positions of the sentence and its paragraph, from 0.
    struct candidate {
        std::string_view title;
        std::string_view text;
        std::size_t place = 0;
        std::size_t passage = 0;
        double score = 0;
    };

    static std::vector<candidate> candidates(std::string_view articles) {
        std::vector<candidate> result;
        std::size_t passage = 0;
        for (auto at = articles.find(passage_mark); at != std::string_view::npos; ++passage) {
            at += passage_mark.size();
            const auto next = articles.find(passage_mark, at);
            const auto line = std::min(articles.find('\n', at), articles.size());
            const auto title = articles.substr(at, line - at);
            for (const std::string_view sentence : sentences(articles.substr(line, next - line)))
                result.push_back({title, sentence, result.size(), passage});
            at = next;
        }
        return result;
    }

    /// The topic words of `text`, and all pairs of adjacent ones, such as "unlock bik".
    static std::set<std::string> terms(std::string_view text) {
        const auto words = topic_words(text);
        std::set<std::string> result(words.begin(), words.end());
        for (std::size_t i = 1; i < words.size(); ++i) result.insert(words[i - 1] + ' ' + words[i]);
        return result;
    }

    /// Scores each sentence by the share of the question's terms that it contains. Rare terms have more weight. Terms
    /// of the previous turn or only in the title, later passages, long sentences and repeated answers have less.
    static void score(std::vector<candidate>& found, const conversation& talk) {
        std::map<std::string, double> weights;
        for (const std::string& term : terms(talk.question)) weights[term] = 0.6;
        for (const std::string& term : terms(talk.user_message)) weights[term] = 1;
        std::vector<std::set<std::string>> held;
        held.reserve(found.size());
        for (const candidate& c : found) held.push_back(terms(c.text));
        double total = 0;
        for (auto& [term, weight] : weights) {
            const bool pair = term.find(' ') != std::string::npos;
            double matches = 0;
            for (const auto& set : held) matches += set.count(term) != 0 ? 1 : 0;
            weight *= std::log(1 + static_cast<double>(found.size()) / (1 + matches));
            if (matches == 0) weight *= pair ? 0 : 0.35; // not in any article: small talk, or another topic
            total += weight;
        }
        for (candidate& c : found) {
            const auto title = terms(c.title);
            for (const auto& [term, weight] : weights)
                c.score += (held[c.place].count(term) != 0 ? 1 : title.count(term) != 0 ? 0.5 : 0) * weight / total;
            c.score /= 1 + 0.1 * static_cast<double>(c.passage) + 0.01 * static_cast<double>(held[c.place].size());
            if (talk.said.find(c.text) != std::string::npos) c.score *= 0.7;
        }
    }

    /// The best sentence, the one after it, and others of the same passage with nearly the same score.
    static std::vector<candidate> chosen(const conversation& talk) {
        constexpr double enough = 0.3, close = 0.7; // chosen by reading the answers to conversations.jsonl
        constexpr std::size_t most = 3;
        auto found = candidates(talk.articles);
        score(found, talk);
        const auto less = [](const candidate& a, const candidate& b) { return a.score < b.score; };
        const auto top = std::max_element(found.begin(), found.end(), less);
        if (top == found.end() || top->score < enough) return {};
        const candidate best = *top;
        if (!talk.tool_result.empty()) return {best};
        std::erase_if(found, [&](const candidate& c) {
            const bool fits = c.place == best.place || c.place == best.place + 1 || c.score >= close * best.score;
            return c.passage != best.passage || !fits;
        });
        while (found.size() > most) found.erase(found.front().place == best.place ? found.end() - 1 : found.begin());
        return found;
    }

    static std::string answer(const conversation& talk) {
        std::string text = talk.tool_result;
        if (text.empty() && topic_words(talk.user_message).empty()) return "You are welcome. What can I do for you?";
        const auto found = chosen(talk);
        if (text.empty() && found.empty())
            return "I found nothing about that in our help articles. Ask me in English about rides, prices, parking "
                   "or your account, or write to the support team under \"Help\" in the app.";
        for (const candidate& c : found) text.append(text.empty() ? "" : " ").append(c.text);
        if (!found.empty()) text.append(" (See \"").append(found.front().title).append("\".)");
        return text;
    }
};

} // namespace chat
