// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json_tree.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace chat_server {

/// A text from the strings of several JSON documents. Tokens of a model end anywhere: the halves of a surrogate pair,
/// or the bytes of a character, may be in two of them.
class joined_text {
public:
    /// Adds what stands between the quotes of a JSON string. Returns what is new and whole, as UTF-8.
    std::string add(std::string_view raw) {
        held_ += raw;
        const std::string rest = held_.substr(held_.size() - unfinished(held_));
        held_.resize(held_.size() - rest.size());
        std::string piece = mlflow::trace::detail::unescaped(std::exchange(held_, rest));
        text_ += piece;
        return piece;
    }
    void add_whole(std::string_view text) { text_ += text; }
    /// No more is to come: U+FFFD for what has no other half.
    std::string end() {
        std::string piece = mlflow::trace::detail::unescaped(std::exchange(held_, {}));
        text_ += piece;
        return piece;
    }
    [[nodiscard]] std::string whole() const { return text_ + mlflow::trace::detail::unescaped(held_); }
    [[nodiscard]] bool empty() const { return text_.empty() && held_.empty(); }

private:
    // How many bytes at the end are half of something.
    static std::size_t unfinished(std::string_view raw) {
        using mlflow::trace::detail::hex_digit_value;
        if (raw.size() >= 6 && raw[raw.size() - 6] == '\\' && raw[raw.size() - 5] == 'u') {
            const auto before = raw.substr(0, raw.size() - 6);
            const auto other = before.find_last_not_of('\\');
            const auto backslashes = before.size() - (other == std::string_view::npos ? 0 : other + 1);
            const auto digits = raw.substr(raw.size() - 4);
            const int second = hex_digit_value(digits[1]);
            if (backslashes % 2 == 0 && hex_digit_value(digits[0]) == 0xD && second >= 8 && second < 0xC) return 6;
        }
        for (std::size_t size = 1; size < 4 && size <= raw.size(); ++size) {
            const auto tail = raw.substr(raw.size() - size);
            const auto lead = static_cast<unsigned char>(tail[0]);
            if (lead < 0x80) return 0;
            if (lead < 0xC0) continue;
            const std::size_t needed = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
            return lead >= 0xC2 && lead < 0xF5 && size < needed &&
                           mlflow::trace::detail::decode_utf8(tail).length == size
                       ? size
                       : 0;
        }
        return 0;
    }

    std::string text_;
    std::string held_;
};

} // namespace chat_server
