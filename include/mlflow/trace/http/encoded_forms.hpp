// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/hex.hpp>
#include <mlflow/trace/text/percent.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// How the text of a URL or of a secret looks encoded: to write such a text, and to find it in what a server sent.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Encodes a text for a part of a URL.
inline std::string percent_encoded(std::string_view text, std::string_view digits = "0123456789ABCDEF") {
    std::string encoded;
    append_percent_encoded(encoded, text, is_unreserved, digits);
    return encoded;
}

// Decodes base64 up to the padding, or up to the first character that is not base64.
inline std::string base64_decoded(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    unsigned group = 0, bits = 0;
    for (const char c : text) {
        const auto value = digits.find(c);
        if (value == std::string_view::npos) break;
        group = (group << 6U | static_cast<unsigned>(value)) & 0xffffU;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        bytes += static_cast<char>(group >> bits & 0xffU);
    }
    return bytes;
}

// Returns the length of an encoded form of `value` in `text` at `at`, or 0 if there is none. Each character may be
// itself, percent-encoded, or escaped as in JSON, and a space a plus sign, because encoders differ in the characters
// that they encode.
inline std::size_t encoded_size(std::string_view text, std::size_t at, std::string_view value) noexcept {
    const auto code_unit = [text](std::size_t from) {
        int number = from + 4 <= text.size() ? 0 : -1;
        for (std::size_t i = from; number >= 0 && i < from + 4; ++i) {
            const int digit = hex_digit_value(text[i]);
            number = digit < 0 ? -1 : number * 16 + digit;
        }
        return number;
    };
    const auto escaped_units = [&](std::uint32_t code_point) -> std::size_t { // the bytes of \uXXXX or of a pair
        const auto is_unit = [&](std::size_t from, std::uint32_t unit) {
            return from < text.size() && text.substr(from).starts_with("\\u") &&
                   code_unit(from + 2) == static_cast<int>(unit);
        };
        if (code_point <= 0xFFFF) return is_unit(at, code_point) ? 6 : 0;
        const std::uint32_t high = 0xD7C0 + (code_point >> 10U);
        return is_unit(at, high) && is_unit(at + 6, 0xDC00 + (code_point & 0x3FFU)) ? 12 : 0;
    };
    const std::size_t begin = at;
    for (std::size_t i = 0; i < value.size();) {
        if (at >= text.size()) return 0;
        const utf8_step step = decode_utf8(value.substr(i));
        const int byte = static_cast<unsigned char>(value[i]);
        if (percent_escape_at(text, at) == byte) at += 3, ++i;
        else if (const auto size = step.valid ? escaped_units(step.code_point) : 0; size > 0)
            at += size, i += step.length;
        else if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] == value[i] &&
                 std::string_view("\"\\/").find(value[i]) != std::string_view::npos)
            at += 2, ++i;
        else if (text[at] == value[i] || (text[at] == '+' && value[i] == ' ')) ++at, ++i;
        else return 0;
    }
    return at - begin;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
