// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json_tree.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace chat_server {

using mlflow::trace::detail::json_tree;
using mlflow::trace::detail::json_value;

/// Finds the ends of consecutive objects and arrays in bytes that may be split anywhere. Each byte is examined once.
/// Other text has no end.
class json_documents {
public:
    /// Calls `on_document(text)` for each complete document.
    template <class OnDocument>
    void write(std::string_view bytes, OnDocument&& on_document) {
        for (std::size_t begin = 0, at = 0;; ++at) {
            if (at == bytes.size()) {
                text_ += bytes.substr(begin);
                return;
            }
            if (!ends_at(bytes[at])) continue;
            text_ += bytes.substr(begin, at + 1 - begin);
            begin = at + 1;
            on_document(std::exchange(text_, {}));
        }
    }
    /// Returns the incomplete rest, and starts anew.
    std::string take_rest() {
        depth_ = 0;
        in_text_ = is_escaped_ = is_other_ = false;
        return std::exchange(text_, {});
    }
    [[nodiscard]] const std::string& rest() const { return text_; }

private:
    bool ends_at(char c) {
        if (in_text_) {
            if (is_escaped_) is_escaped_ = false;
            else if (c == '\\') is_escaped_ = true;
            else in_text_ = c != '"';
            return false;
        }
        if (is_other_) return false;
        if (c == '{' || c == '[') ++depth_;
        else if (depth_ == 0) is_other_ = c != ' ' && c != '\t' && c != '\r' && c != '\n';
        else if (c == '"') in_text_ = true;
        else if (c == '}' || c == ']') return --depth_ == 0;
        return false;
    }

    std::string text_;
    std::size_t depth_ = 0;
    bool in_text_ = false;
    bool is_escaped_ = false;
    bool is_other_ = false;
};

/// Replaces numbers that JSON does not have, in the spellings of C and similar languages (nan, -inf, Infinity, …), by
/// null, and control characters in strings by escapes.
inline std::string mended_json(std::string_view text) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    std::string kept;
    for (std::size_t at = 0, end = 0; at < text.size(); at = end) {
        end = at + 1;
        if (text[at] == '"') {
            while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2U : 1U;
            end = std::min(end + 1, text.size());
            for (; at < end; ++at)
                if (const auto c = static_cast<unsigned char>(text[at]); c >= 0x20) kept += text[at];
                else kept.append("\\u00").append(1, c < 0x10 ? '0' : '1').append(1, "0123456789abcdef"[c & 15U]);
            continue;
        } else if (is_letter(text[at])) {
            while (end < text.size() && is_letter(text[end])) ++end;
            std::string word(text.substr(at, end - at));
            for (char& c : word) c = static_cast<char>(c | 0x20);
            if (word == "nan" || word == "inf" || word == "infinity") {
                if (kept.ends_with('-') || kept.ends_with('+')) kept.pop_back();
                kept += "null";
                continue;
            }
        }
        kept += text.substr(at, end - at);
    }
    return kept;
}

/// Returns false for text that is not JSON. Values nested deeper than 64 levels become null.
inline bool read_json(json_tree& into, std::string& text) {
    constexpr std::size_t deepest = 64;
    if (into.read(text, deepest)) return true;
    text = mended_json(text);
    return into.read(text, deepest);
}

/// Converts to nlohmann/json. Numbers that JSON does not have become null.
inline nlohmann::ordered_json to_json(json_value value) {
    using kind = json_value::kind;
    using json = nlohmann::ordered_json;
    if (value.is(kind::text)) return value.text();
    if (value.is(kind::boolean)) return value.is_true();
    if (value.is(kind::number)) {
        if (const auto integer = value.integer()) return *integer;
        return std::isfinite(value.number()) ? json(value.number()) : json();
    }
    json made;
    if (value.is(kind::array)) made = json::array();
    if (value.is(kind::object)) made = json::object();
    for (const json_value each : value)
        if (value.is(kind::array)) made.push_back(to_json(each));
        else made[each.key()] = to_json(each);
    return made;
}
inline std::string text_of(json_value value) {
    return to_json(value).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace chat_server
