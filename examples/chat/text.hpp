// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tokenizer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace chat {

/// ASCII letters in lower case; other characters unchanged.
inline std::string lower(std::string_view text) {
    std::string result{text};
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

/// A rough English stemmer, so that "prices", "priced" and "price" match: removes the plural, -ing, -ed and a final
/// e.
inline std::string stem(std::string word) {
    const auto cut = [&](std::string_view suffix, std::size_t keep) {
        if (word.size() < suffix.size() + keep || !std::string_view{word}.ends_with(suffix)) return false;
        word.resize(word.size() - suffix.size());
        return true;
    };
    if (cut("ies", 2)) return word + 'y';
    if (!word.ends_with("ss")) cut("s", 3);
    if (cut("ing", 3) || cut("ed", 3)) {
        const std::size_t n = word.size();
        if (word[n - 1] == word[n - 2] && word[n - 1] != 'l' && word[n - 1] != 's') word.pop_back();
    }
    cut("e", 3);
    return word;
}

/// Words that say nothing about the topic of a text.
inline bool is_stop_word(std::string_view word) {
    static constexpr auto list = std::to_array<std::string_view>(
        {"a",    "about", "after", "all",   "also",    "am",     "an",    "and",   "any",    "are",   "as",
         "at",   "be",    "been",  "but",   "by",      "can",    "could", "did",   "do",     "does",  "don",
         "for",  "from",  "get",   "had",   "happens", "has",    "have",  "hello", "help",   "hi",    "how",
         "i",    "if",    "in",    "into",  "is",      "it",     "its",   "just",  "like",   "ll",    "long",
         "m",    "many",  "may",   "me",    "much",    "must",   "my",    "need",  "no",     "not",   "now",
         "of",   "on",    "one",   "or",    "our",     "please", "re",    "s",     "should", "so",    "some",
         "t",    "tell",  "than",  "thank", "thanks",  "that",   "the",   "their", "them",   "then",  "there",
         "they", "this",  "to",    "too",   "up",      "us",     "use",   "ve",    "want",   "was",   "we",
         "were", "what",  "when",  "where", "which",   "who",    "why",   "will",  "with",   "would", "yes",
         "you",  "your"});
    return std::find(list.begin(), list.end(), word) != list.end();
}

/// The stemmed words of `text` that say something about its topic, in order, without numbers. Hyphens are removed:
/// "e-bike" becomes "ebike".
inline std::vector<std::string> topic_words(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    const auto finish = [&] {
        const bool number = word.find_first_not_of("0123456789") == std::string::npos;
        if (!number && !is_stop_word(word)) words.push_back(stem(word));
        word.clear();
    };
    const char* end = nullptr;
    for (const std::string_view token : tokenize(text, 64)) {
        if (token.data() != end) finish();
        end = token.data() + token.size();
        const character first = first_character(token);
        const bool joins = kind_of(first) == kind::word || kind_of(first) == kind::number;
        if (joins) {
            word += lower(token);
        } else if (token != "-") {
            finish();
            if (first.valid && first.code >= 0x3040) words.emplace_back(token);
        }
    }
    finish();
    return words;
}

/// The sentences of `text`: each ends at '.', '!' or '?' before white space or the end.
inline std::vector<std::string_view> sentences(std::string_view text) {
    std::vector<std::string_view> result;
    std::size_t begin = text.find_first_not_of(" \n");
    for (std::size_t at = begin; at < text.size(); ++at) {
        const bool last = at + 1 == text.size();
        const bool stop = text[at] == '.' || text[at] == '!' || text[at] == '?';
        if (!last && !(stop && (text[at + 1] == ' ' || text[at + 1] == '\n'))) continue;
        result.push_back(text.substr(begin, at + 1 - begin));
        begin = text.find_first_not_of(" \n", at + 1);
        if (begin == std::string_view::npos) break;
        at = begin;
    }
    return result;
}

} // namespace chat
