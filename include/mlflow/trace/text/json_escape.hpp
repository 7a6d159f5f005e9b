// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The character after the backslash, or 0 for a byte that is not escaped. Bytes from 0x60 on are not escaped, or are
// not ASCII.
struct json_escape_table {
    char letter[0x60]{};

    consteval json_escape_table() noexcept {
        for (unsigned control = 0; control < 0x20; ++control) letter[control] = 'u';
        constexpr std::string_view escaped = "\b\t\n\f\r\"\\";
        constexpr std::string_view letters = "btnfr\"\\";
        for (std::size_t i = 0; i < escaped.size(); ++i) letter[static_cast<unsigned char>(escaped[i])] = letters[i];
    }
};
inline constexpr json_escape_table json_escapes{};

constexpr char json_escape_letter(char character) noexcept {
    const auto byte = static_cast<unsigned char>(character);
    return byte < sizeof json_escapes.letter ? json_escapes.letter[byte] : '\0';
}

// Writes at most 6 characters and returns their end.
inline char* write_json_escape(char* to, char character, char letter) noexcept {
    *to++ = '\\';
    *to++ = letter;
    if (letter != 'u') return to;
    *to++ = '0';
    *to++ = '0';
    *to++ = character < 0x10 ? '0' : '1';
    *to++ = "0123456789abcdef"[character & 15];
    return to;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
