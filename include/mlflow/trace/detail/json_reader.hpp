// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// Reads JSON as Python's json.loads does (strict, but with NaN, Infinity and -Infinity), since that is what MLflow's
// server reads with. Nothing is built: a value is passed over, and its text is what remains.
class json_reader {
public:
    static constexpr int deepest = 512;

    explicit json_reader(std::string_view text) noexcept : rest_(text) { skip_space(); }

    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }
    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
    // The reader gave up on nesting that is deeper than it follows.
    [[nodiscard]] bool too_deep() const noexcept { return too_deep_; }

    bool take(char expected) noexcept {
        if (rest_.empty() || rest_.front() != expected) return false;
        rest_.remove_prefix(1);
        skip_space();
        return true;
    }

    // Passes over one value.
    bool skip_value(int depth = 0) noexcept {
        if (rest_.empty()) return false;
        if (depth == deepest) {
            too_deep_ = true;
            return false;
        }
        bool good = false;
        switch (rest_.front()) {
        case '{': return skip_object(depth);
        case '[': return skip_array(depth);
        case '"': return skip_string();
        case 't': good = skip_word("true"); break;
        case 'f': good = skip_word("false"); break;
        case 'n': good = skip_word("null"); break;
        case 'N': good = skip_word("NaN"); break;
        case 'I': good = skip_word("Infinity"); break;
        default: good = rest_.starts_with("-I") ? skip_word("-Infinity") : skip_number(); break;
        }
        skip_space();
        return good;
    }

    // Passes over a string, with its quotes.
    bool skip_string() noexcept {
        if (rest_.empty() || rest_.front() != '"') return false;
        for (std::size_t at = 1; at < rest_.size(); ++at) {
            const auto c = static_cast<unsigned char>(rest_[at]);
            if (c == '"') {
                rest_.remove_prefix(at + 1);
                skip_space();
                return true;
            }
            if (c < 0x20) return false;
            if (c != '\\') continue;
            if (++at == rest_.size()) return false;
            if (rest_[at] == 'u') {
                if (rest_.size() - at < 5) return false;
                for (std::size_t i = 1; i <= 4; ++i)
                    if (hex_value(rest_[at + i]) < 0) return false;
                at += 4;
            } else if (std::string_view("\"\\/bfnrt").find(rest_[at]) == std::string_view::npos) {
                return false;
            }
        }
        return false;
    }

    static constexpr int hex_value(char c) noexcept {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    }

private:
    void skip_space() noexcept {
        std::size_t count = 0;
        while (count < rest_.size() && std::string_view(" \t\n\r").find(rest_[count]) != std::string_view::npos)
            ++count;
        rest_.remove_prefix(count);
    }
    bool skip_word(std::string_view word) noexcept {
        if (!rest_.starts_with(word)) return false;
        rest_.remove_prefix(word.size());
        return true;
    }
    std::size_t skip_digits() noexcept {
        std::size_t count = 0;
        while (count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9') ++count;
        rest_.remove_prefix(count);
        return count;
    }
    // A part that is not well-formed belongs to what follows, as in Python: `1.` is the number 1 and a stray dot.
    bool skip_number() noexcept {
        if (rest_.starts_with('-')) rest_.remove_prefix(1);
        if (rest_.starts_with('0')) rest_.remove_prefix(1);
        else if (skip_digits() == 0) return false;
        const std::string_view integer = rest_;
        if (rest_.starts_with('.')) {
            rest_.remove_prefix(1);
            if (skip_digits() == 0) {
                rest_ = integer;
                return true;
            }
        }
        const std::string_view fraction = rest_;
        if (rest_.starts_with('e') || rest_.starts_with('E')) {
            rest_.remove_prefix(1);
            if (rest_.starts_with('+') || rest_.starts_with('-')) rest_.remove_prefix(1);
            if (skip_digits() == 0) rest_ = fraction;
        }
        return true;
    }
    bool skip_array(int depth) noexcept {
        take('[');
        if (take(']')) return true;
        do
            if (!skip_value(depth + 1)) return false;
        while (take(','));
        return take(']');
    }
    bool skip_object(int depth) noexcept {
        take('{');
        if (take('}')) return true;
        do
            if (!skip_string() || !take(':') || !skip_value(depth + 1)) return false;
        while (take(','));
        return take('}');
    }

    std::string_view rest_;
    bool too_deep_ = false;
};

// Would json.loads take this text? Where the reader does not follow, the answer is yes: to encode a text once more
// than needed is harmless, once less is not.
inline bool is_json_document(std::string_view text) noexcept {
    json_reader reader(text);
    const bool good = reader.skip_value();
    return reader.too_deep() || (good && reader.at_end());
}

inline void append_code_point(std::string& out, std::uint32_t code_point) {
    if (code_point < 0x80) {
        out += static_cast<char>(code_point);
    } else if (code_point < 0x800) {
        out += static_cast<char>(0xC0U | code_point >> 6U);
        out += static_cast<char>(0x80U | (code_point & 0x3FU));
    } else if (code_point < 0x10000) {
        out += static_cast<char>(0xE0U | code_point >> 12U);
        out += static_cast<char>(0x80U | (code_point >> 6U & 0x3FU));
        out += static_cast<char>(0x80U | (code_point & 0x3FU));
    } else {
        out += static_cast<char>(0xF0U | code_point >> 18U);
        out += static_cast<char>(0x80U | (code_point >> 12U & 0x3FU));
        out += static_cast<char>(0x80U | (code_point >> 6U & 0x3FU));
        out += static_cast<char>(0x80U | (code_point & 0x3FU));
    }
}

// The text of a well-formed JSON string, quotes included. A surrogate without its partner becomes U+FFFD.
inline std::string json_unescape(std::string_view quoted) {
    const std::string_view text = quoted.substr(1, quoted.size() - 2);
    const auto unit = [text](std::size_t at) {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i)
            value = value << 4U | static_cast<std::uint32_t>(json_reader::hex_value(text[at + i]));
        return value;
    };
    std::string plain;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\\') {
            plain += text[at];
            continue;
        }
        const char escape = text[++at];
        if (escape != 'u') {
            constexpr std::string_view letters = "bfnrt";
            const auto which = letters.find(escape);
            plain += which == std::string_view::npos ? escape : std::string_view("\b\f\n\r\t")[which];
            continue;
        }
        std::uint32_t code_point = unit(at + 1);
        at += 4;
        if (code_point >= 0xD800 && code_point < 0xE000) {
            const bool paired = code_point < 0xDC00 && text.substr(at + 1).starts_with("\\u");
            const std::uint32_t low = paired ? unit(at + 3) : 0;
            if (low >= 0xDC00 && low < 0xE000) {
                code_point = 0x10000 + ((code_point - 0xD800) << 10U) + (low - 0xDC00);
                at += 6;
            } else {
                code_point = 0xFFFD;
            }
        }
        append_code_point(plain, code_point);
    }
    return plain;
}

// The text of the value at that path of object keys, or nothing when it is not there or the document is malformed
// before it. The first of equal keys counts.
inline std::string_view json_find(std::string_view document, std::initializer_list<std::string_view> path) {
    json_reader reader(document);
    for (const std::string_view wanted : path) {
        if (!reader.take('{')) return {};
        for (bool found = false; !found;) {
            const std::string_view at_key = reader.rest();
            if (!reader.skip_string()) return {};
            const std::string_view quoted =
                at_key.substr(0, at_key.rfind('"', at_key.size() - reader.rest().size() - 1) + 1);
            if (!reader.take(':')) return {};
            found = json_unescape(quoted) == wanted;
            if (!found && (!reader.skip_value() || !reader.take(','))) return {};
        }
    }
    const std::string_view begin = reader.rest();
    if (!reader.skip_value()) return {};
    std::string_view value = begin.substr(0, begin.size() - reader.rest().size());
    while (!value.empty() && std::string_view(" \t\n\r").find(value.back()) != std::string_view::npos)
        value.remove_suffix(1);
    return value;
}

// The same, where the value is a string of valid UTF-8.
inline std::optional<std::string> json_find_string(std::string_view document,
                                                   std::initializer_list<std::string_view> path) {
    const std::string_view value = json_find(document, path);
    if (value.empty() || value.front() != '"') return std::nullopt;
    std::string text = json_unescape(value);
    if (!is_valid_utf8(text)) return std::nullopt;
    return text;
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
