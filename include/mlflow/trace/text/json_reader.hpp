// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/hex.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Consumes JSON from the front of a text, by the rules of Python's json.loads. Bytes outside ASCII are valid in
// strings only. After a function has returned false, the position is unspecified.
class json_cursor {
public:
    enum class outcome : std::uint8_t { complete, malformed, too_deep };
    static constexpr std::size_t max_depth = 512;

    constexpr explicit json_cursor(std::string_view text) noexcept : rest_(text) {}

    [[nodiscard]] constexpr std::string_view rest() const noexcept { return rest_; }

    constexpr void whitespace() noexcept {
        const std::size_t end = rest_.find_first_not_of(" \t\n\r");
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end);
    }

    constexpr bool take(char expected) noexcept {
        if (!rest_.starts_with(expected)) return false;
        rest_.remove_prefix(1);
        return true;
    }

    // `raw` is the text between the quotes, with its escapes.
    constexpr bool string(std::string_view& raw) noexcept {
        if (!take('"')) return false;
        for (std::size_t at = 0; at < rest_.size(); ++at) {
            const char c = rest_[at];
            if (c == '"') {
                raw = rest_.substr(0, at);
                rest_.remove_prefix(at + 1);
                return true;
            }
            if (static_cast<unsigned char>(c) < 0x20) return false;
            if (c != '\\') continue;
            if (++at == rest_.size()) return false;
            if (rest_[at] != 'u') {
                if (std::string_view("\"\\/bfnrt").find(rest_[at]) == std::string_view::npos) return false;
                continue;
            }
            for (int digit = 0; digit < 4; ++digit)
                if (++at == rest_.size() || hex_digit_value(rest_[at]) < 0) return false;
        }
        return false;
    }

    constexpr bool key(std::string_view& raw) noexcept {
        whitespace();
        if (!string(raw)) return false;
        whitespace();
        return take(':');
    }

    // Reads one value and the whitespace before it, without recursion. Calls key(raw), scalar(raw), begin(is_object)
    // and end() of `sink` for its parts.
    template <class Sink>
    constexpr outcome read(std::size_t depth_limit, Sink&& sink) noexcept(noexcept(sink.end())) {
        bool in_object[max_depth + 1]{};
        std::size_t depth = 0;
        std::string_view name;
        for (;;) {
            whitespace();
            const bool object = rest_.starts_with('{');
            if (object || rest_.starts_with('[')) {
                if (depth == depth_limit || depth == max_depth) return outcome::too_deep;
                in_object[++depth] = object;
                rest_.remove_prefix(1);
                sink.begin(object);
                whitespace();
                if (!rest_.starts_with(object ? '}' : ']')) {
                    if (object && !key(name)) return outcome::malformed;
                    if (object) sink.key(name);
                    continue;
                }
            } else {
                const std::string_view from = rest_;
                if (!scalar()) return outcome::malformed;
                sink.scalar(prefix_of(from, from.size() - rest_.size()));
            }
            for (;; --depth) {
                if (depth == 0) return outcome::complete;
                whitespace();
                if (take(',')) break;
                if (!take(in_object[depth] ? '}' : ']')) return outcome::malformed;
                sink.end();
            }
            if (!in_object[depth]) continue;
            if (!key(name)) return outcome::malformed;
            sink.key(name);
        }
    }

    constexpr outcome value(std::size_t depth_limit) noexcept {
        struct nobody {
            constexpr void key(std::string_view) noexcept {}
            constexpr void scalar(std::string_view) noexcept {}
            constexpr void begin(bool) noexcept {}
            constexpr void end() noexcept {}
        };
        return read(depth_limit, nobody{});
    }

private:
    constexpr bool scalar() noexcept {
        std::string_view ignored;
        if (rest_.starts_with('"')) return string(ignored);
        for (const std::string_view literal : {"null", "true", "false", "NaN", "Infinity", "-Infinity"}) {
            if (!rest_.starts_with(literal)) continue;
            rest_.remove_prefix(literal.size());
            return true;
        }
        take('-');
        if (!take('0') && !digits()) return false;
        // A point or an exponent without digits is not part of a number, and cannot follow one.
        if (take('.') && !digits()) return false;
        if (!take('e') && !take('E')) return true;
        if (!take('+')) take('-');
        return digits();
    }

    constexpr bool digits() noexcept {
        const std::size_t end = rest_.find_first_not_of("0123456789");
        const std::size_t count = end == std::string_view::npos ? rest_.size() : end;
        rest_.remove_prefix(count);
        return count != 0;
    }

    std::string_view rest_;
};

// Whether Python's json.loads would accept this text. The result is exact up to 512 levels; for deeper nesting it is
// true. It is also true for integers with more digits than Python converts, which is a setting of the interpreter.
constexpr bool is_json_document(std::string_view text) noexcept {
    json_cursor at(text);
    const json_cursor::outcome outcome = at.value(json_cursor::max_depth);
    at.whitespace();
    return outcome == json_cursor::outcome::too_deep ||
           (outcome == json_cursor::outcome::complete && at.rest().empty());
}

// Calls `piece(std::string_view)` for each part of a string between escapes, and for the character of each escape.
// Surrogates without the other half become U+FFFD.
template <class Piece>
void unescape_json(std::string_view raw, Piece piece) {
    const auto unit = [&raw](std::size_t at) {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i)
            value = value << 4U | static_cast<std::uint32_t>(hex_digit_value(raw[at + i]));
        return value;
    };
    while (!raw.empty()) {
        const std::size_t plain = raw.find('\\');
        if (plain != 0) piece(raw.substr(0, plain));
        if (plain == std::string_view::npos) return;
        raw.remove_prefix(plain + 1);
        if (raw[0] != 'u') {
            constexpr std::string_view letters = "bfnrt";
            constexpr std::string_view characters = "\b\f\n\r\t";
            const std::size_t at = letters.find(raw[0]);
            piece(at == std::string_view::npos ? raw.substr(0, 1) : characters.substr(at, 1));
            raw.remove_prefix(1);
            continue;
        }
        std::uint32_t code_point = unit(1);
        raw.remove_prefix(5);
        if (code_point >= 0xD800 && code_point < 0xDC00 && raw.starts_with("\\u")) {
            const std::uint32_t low = unit(2);
            if (low >= 0xDC00 && low < 0xE000) {
                code_point = 0x10000 + ((code_point & 0x3FFU) << 10U | (low & 0x3FFU));
                raw.remove_prefix(6);
            }
        }
        char encoded[4];
        piece(std::string_view(encoded, encode_utf8(encoded, code_point)));
    }
}

inline bool is_json_key(std::string_view raw, std::string_view key) noexcept {
    bool same = true;
    unescape_json(raw, [&](std::string_view piece) {
        same = same && key.starts_with(piece);
        if (same) key.remove_prefix(piece.size());
    });
    return same && key.empty();
}

// The text of the value at a path of object keys, without surrounding whitespace. Empty if there is none, or if the
// document is malformed or nested in more than 64 levels. If a key occurs more than once, the last one counts, as in
// Python.
inline std::string_view json_find(std::string_view document, std::initializer_list<std::string_view> path) noexcept {
    constexpr std::size_t depth_limit = 64;
    json_cursor whole(document);
    if (whole.value(depth_limit) != json_cursor::outcome::complete) return {};
    document.remove_suffix(whole.rest().size());
    whole.whitespace();
    if (!whole.rest().empty()) return {};

    json_cursor start(document);
    start.whitespace();
    std::string_view found = start.rest();
    for (const std::string_view key : path) {
        json_cursor at(found);
        found = {};
        std::string_view raw;
        if (!at.take('{')) return {};
        while (at.key(raw)) { // fails at the closing brace of an empty object
            at.whitespace();
            const std::string_view value = at.rest();
            if (at.value(depth_limit) != json_cursor::outcome::complete) return {};
            if (is_json_key(raw, key)) found = value.substr(0, value.size() - at.rest().size());
            at.whitespace();
            if (!at.take(',')) break;
        }
        if (found.empty()) return {};
    }
    return found;
}

// The string at a path of object keys, unescaped; invalid UTF-8 becomes U+FFFD. Throws `std::bad_alloc`.
inline std::optional<std::string> json_find_string(std::string_view document,
                                                   std::initializer_list<std::string_view> path) {
    std::string_view raw;
    if (!json_cursor(json_find(document, path)).string(raw)) return std::nullopt;
    buffer text;
    unescape_json(raw, [&text](std::string_view piece) { append_utf8(text, piece); });
    return std::string(whole(text));
}

// Calls `visit` with the text of each element of a JSON array.
template <class Visit>
void for_each_element(std::string_view array, Visit visit) {
    json_cursor at(array);
    if (!at.take('[')) return;
    do {
        at.whitespace();
        const std::string_view value = at.rest();
        if (at.value(64) != json_cursor::outcome::complete) return;
        visit(value.substr(0, value.size() - at.rest().size()));
        at.whitespace();
    } while (at.take(','));
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
