// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/text/json_blocks.hpp>
#include <mlflow/trace/text/json_escape.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

template <class Buffer>
bool append_json_chars(Buffer& out, std::string_view text, json_way way = json_way_here) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        if (const std::size_t done = append_json_blocks(out, text, at, way); done != 0) {
            at += done;
            continue;
        }
        const std::string_view rest = suffix_from(text, at);
        std::size_t run = 0;
        while (run < rest.size() && static_cast<unsigned char>(rest[run]) < 0x80 &&
               json_escape_letter(rest[run]) == '\0')
            ++run;
        if (run != 0) {
            if (!append_bytes(out, prefix_of(rest, run))) return false;
        } else if (const char letter = json_escape_letter(rest[0]); letter != '\0') {
            char escape[6];
            const char* const end = write_json_escape(escape, rest[0], letter);
            if (!append_bytes(out, {escape, static_cast<std::size_t>(end - escape)})) return false;
            run = 1;
        } else {
            run = decode_utf8(rest).length;
            if (!append_utf8(out, prefix_of(rest, run))) return false;
        }
        at += run;
    }
    return true;
}

template <class Buffer>
bool append_json_string(Buffer& out, std::string_view text) noexcept {
    return append_bytes(out, "\"") && append_json_chars(out, text) && append_bytes(out, "\"");
}

template <class Buffer>
bool append_json_uint(Buffer& out, std::uint64_t value, bool negative = false) noexcept {
    char digits[20];
    char* const end = digits + sizeof digits;
    char* begin = end;
    do {
        *--begin = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (negative) *--begin = '-';
    return append_bytes(out, {begin, static_cast<std::size_t>(end - begin)});
}

template <class Buffer>
bool append_json_int(Buffer& out, std::int64_t value) noexcept {
    const auto bits = static_cast<std::uint64_t>(value);
    return append_json_uint(out, value < 0 ? 0 - bits : bits, value < 0);
}

template <class Buffer>
bool append_json_bool(Buffer& out, bool value) noexcept {
    return append_bytes(out, value ? std::string_view("true") : std::string_view("false"));
}

template <class Buffer>
bool append_json_null(Buffer& out) noexcept {
    return append_bytes(out, "null");
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
