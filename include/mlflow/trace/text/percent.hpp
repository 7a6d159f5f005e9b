// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/hex.hpp>

#include <cstddef>
#include <string>
#include <string_view>

// Percent-encoding (RFC 3986, 2.1). The caller decides which characters are not encoded, and how a % that begins no
// escape is treated.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// RFC 3986, 2.3.
constexpr bool is_unreserved(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

template <class StandsForItself>
void append_percent_encoded(std::string& out, std::string_view text, StandsForItself stands_for_itself,
                            std::string_view digits = "0123456789ABCDEF") {
    for (std::size_t at = 0; at < text.size(); ++at) {
        const std::size_t begin = at;
        while (at < text.size() && stands_for_itself(text[at])) ++at;
        out.append(text, begin, at - begin);
        if (at == text.size()) return;
        const auto byte = static_cast<unsigned char>(text[at]);
        const char escape[] = {'%', digits[byte >> 4U], digits[byte & 15U]};
        out.append(escape, sizeof escape);
    }
}

// The byte that is encoded by the escape at this position, or -1 if there is no escape.
constexpr int percent_escape_at(std::string_view text, std::size_t at) noexcept {
    if (at + 2 >= text.size() || text[at] != '%') return -1;
    const int high = hex_digit_value(text[at + 1]), low = hex_digit_value(text[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
