// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Makes text from outside safe to show to a person.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Code points that control a terminal, change the direction of the surrounding text, break the line, or are invisible
// (Unicode's Default_Ignorable_Code_Point). Joiners and variation selectors are not included, because scripts and
// emoji need them.
constexpr bool is_hidden(std::uint32_t c) noexcept {
    return is_control(c) || c == 0x00AD || c == 0x061C || c == 0x115F || c == 0x1160 || c == 0x17B4 || c == 0x17B5 ||
           c == 0x180E || c == 0x200B || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || c == 0x3164 || c == 0xFEFF || c == 0xFFA0 ||
           (c >= 0xFFF0 && c <= 0xFFFB) || (c >= 0x1BCA0 && c <= 0x1BCA3) || (c >= 0x1D173 && c <= 0x1D17A) ||
           (c >= 0xE0000 && c <= 0xE00FF) || (c >= 0xE01F0 && c <= 0xE0FFF);
}

// Returns a line of valid UTF-8 in which every character is visible: a space for each control character, and U+FFFD
// for each hidden or invalid one. At most `most` bytes of the text are shown.
inline std::string displayed(std::string_view text, std::size_t most = std::string_view::npos) {
    std::string shown;
    shown.reserve(text.size() < most ? text.size() : most);
    for (std::size_t at = 0; at < text.size();) {
        const utf8_step step = decode_utf8(suffix_from(text, at));
        if (step.length > most - at) break;
        if (is_control(step.code_point)) shown += ' ';
        else if (!step.valid || is_hidden(step.code_point)) shown += "\xEF\xBF\xBD";
        else shown += text.substr(at, step.length);
        at += step.length;
    }
    return shown;
}

// Returns the same JSON with escapes in place of hidden characters, which JSON allows unescaped. Newlines between
// values are kept. Invalid UTF-8 becomes U+FFFD.
inline std::string escaped_json(std::string_view text) {
    std::string escaped;
    escaped.reserve(text.size());
    const auto escape = [&escaped](std::uint32_t unit) {
        escaped += "\\u";
        for (unsigned shift = 16; shift > 0; shift -= 4) escaped += "0123456789abcdef"[unit >> (shift - 4) & 15U];
    };
    for (std::size_t at = 0; at < text.size();) {
        const utf8_step step = decode_utf8(suffix_from(text, at));
        const std::uint32_t c = step.code_point;
        if (!step.valid) escaped += "\xEF\xBF\xBD";
        else if (c < 0x7F || !is_hidden(c)) escaped += text.substr(at, step.length);
        else if (c < 0x10000) escape(c);
        else escape(0xD800 + ((c - 0x10000) >> 10)), escape(0xDC00 + (c & 0x3FF));
        at += step.length;
    }
    return escaped;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
