// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Returns the value of a hexadecimal digit, or -1 for another character.
constexpr int hex_digit_value(char digit) noexcept {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

// Appends two lowercase digits for each byte.
template <class Buffer>
bool append_hex(Buffer& out, std::string_view bytes) noexcept {
    if (bytes.empty()) return true;
    char* to = out.ensure(2 * bytes.size());
    if (!to) return false;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        *to++ = "0123456789abcdef"[byte >> 4U];
        *to++ = "0123456789abcdef"[byte & 15U];
    }
    out.commit(2 * bytes.size());
    return true;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
