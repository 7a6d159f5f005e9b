// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace chat {

/// One character of UTF-8 text: its code point and its length in bytes. An invalid byte is one character that is not
/// valid.
struct character {
    char32_t code = 0;
    std::size_t length = 1;
    bool valid = false;
};

/// The first character of `text`, which must not be empty. Overlong forms and surrogates are not valid.
constexpr character first_character(std::string_view text) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    if (byte(0) < 0x80) return {byte(0), 1, true};
    const std::size_t length = byte(0) < 0xC2 ? 0 : byte(0) < 0xE0 ? 2 : byte(0) < 0xF0 ? 3 : byte(0) < 0xF5 ? 4 : 0;
    if (length == 0 || text.size() < length) return {byte(0), 1, false};
    char32_t code = byte(0) & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0u) != 0x80u) return {byte(0), 1, false};
        code = code << 6 | (byte(i) & 0x3Fu);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    if (overlong || surrogate || code > 0x10FFFF) return {byte(0), 1, false};
    return {code, length, true};
}

/// Kinds of characters. Only characters of the same kind `word` or `number` are joined into one token.
enum class kind { space, word, number, symbol };

/// Latin, Greek, Cyrillic and other alphabets below U+2000 form words. Ideographs, kana, emoji and punctuation are
/// tokens of one character each.
constexpr kind kind_of(character c) {
    const auto between = [code = c.code](char32_t low, char32_t high) { return low <= code && code <= high; };
    if (!c.valid) return kind::symbol;
    if (c.code == ' ' || between('\t', '\r') || c.code == 0xA0 || between(0x2000, 0x200B) || c.code == 0x3000)
        return kind::space;
    if (between('0', '9')) return kind::number;
    if (between('a', 'z') || between('A', 'Z')) return kind::word;
    if (between(0xC0, 0x1FFF) && c.code != 0xD7 && c.code != 0xF7) return kind::word;
    return kind::symbol;
}

/// Splits text into words, numbers and symbols, without the white space between them. Words and numbers of more than
/// `longest` characters become several tokens. The tokens are views of `text`.
inline std::vector<std::string_view> tokenize(std::string_view text, std::size_t longest = 8) {
    std::vector<std::string_view> tokens;
    kind previous = kind::space;
    std::size_t characters = 0;
    for (std::size_t at = 0; at < text.size();) {
        const character c = first_character(text.substr(at));
        const kind now = kind_of(c);
        const bool joins = now == previous && (now == kind::word || now == kind::number) && characters < longest;
        if (joins) {
            tokens.back() = {tokens.back().data(), tokens.back().size() + c.length};
            ++characters;
        } else if (now != kind::space) {
            tokens.push_back(text.substr(at, c.length));
            characters = 1;
        }
        previous = now;
        at += c.length;
    }
    return tokens;
}

/// The number of tokens of `text`, as counted by the built-in model.
inline std::size_t count_tokens(std::string_view text) { return tokenize(text).size(); }

} // namespace chat
