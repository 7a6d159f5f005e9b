// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json_tree.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace chat_server {

/// Joins text from the strings of several JSON documents. A model's tokens may split surrogate pairs and UTF-8
/// sequences.
class joined_text {
public:
    /// Adds the content of a JSON string, without quotes. Returns the new complete characters as UTF-8.
    std::string add(std::string_view raw) {
        held_ += raw;
        const std::string rest = held_.substr(held_.size() - unfinished(held_));
        held_.resize(held_.size() - rest.size());
        std::string piece = mlflow::trace::detail::unescaped(std::exchange(held_, rest));
        text_ += piece;
        return piece;
    }
    void add_whole(std::string_view text) { text_ += text; }
    /// Call at the end. Incomplete characters become U+FFFD.
    std::string end() {
        std::string piece = mlflow::trace::detail::unescaped(std::exchange(held_, {}));
        text_ += piece;
        return piece;
    }
    [[nodiscard]] std::string whole() const { return text_ + mlflow::trace::detail::unescaped(held_); }
    [[nodiscard]] bool empty() const { return text_.empty() && held_.empty(); }

private:
    // The number of bytes at the end that are an incomplete character.
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
