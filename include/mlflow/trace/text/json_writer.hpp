// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// What follows the backslash; 0 for bytes that stand for themselves. Bytes from 0x60 on do, or are not ASCII.
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

// Writes at most 6 characters, and returns their end.
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

#if defined(__SSE2__)
inline constexpr std::ptrdiff_t json_block = 32;
// Bytes to read that there must be at each position before the end: a block from the last byte of a block on.
inline constexpr std::ptrdiff_t json_block_reach = 2 * json_block;
// What one block may write: 32 escapes of 6 characters, and then a store of which nothing counts.
inline constexpr std::ptrdiff_t json_block_room = 7 * json_block;

struct json_position {
    const char* from;
    char* to;
};

// Stops at `end` or up to 31 bytes past it, when `to` has passed `last`, or at invalid UTF-8.
inline json_position escape_json_blocks(const char* from, const char* end, char* to, const char* last) noexcept {
    const auto copy = [](char* at, characters16 low, characters16 high) {
        store16(at, low);
        store16(at + 16, high);
    };
    const auto find = [](characters16 half) -> characters16 {
        // A signed comparison, so that it finds bytes that are not ASCII too.
        return (half < sixteen(' ')) | (half == sixteen('"')) | (half == sixteen('\\'));
    };
    while (from < end && to <= last) {
        const characters16 low = load16(from);
        const characters16 high = load16(from + 16);
        copy(to, low, high);
        const characters16 found_low = find(low);
        const characters16 found_high = find(high);
        if (mask16(found_low | found_high) == 0) [[likely]] {
            from += json_block;
            to += json_block;
            continue;
        }
        std::uint32_t special = mask16(found_low) | mask16(found_high) << 16;
        std::ptrdiff_t done = 0;
        std::ptrdiff_t size = json_block;
        while (special != 0) {
            std::ptrdiff_t at = std::countr_zero(special);
            if (const char letter = json_escape_letter(from[at]); letter != '\0') {
                to = write_json_escape(to + (at - done), from[at], letter);
                done = at + 1;
                copy(to, load16(from + done), load16(from + done + 16));
                special &= special - 1;
                continue;
            }
            do {
                const std::size_t length = utf8_sequence_length(from + at);
                if (length == 0) return {from + at, to + (at - done)};
                size = at;
                at += static_cast<std::ptrdiff_t>(length);
            } while (at < json_block && static_cast<unsigned char>(from[at]) >= 0x80);
            if (at > json_block) break; // the block ends before the last sequence
            size = json_block;
            special = at < json_block ? special >> at << at : 0;
        }
        from += size;
        to += size - done;
    }
    return {from, to};
}

// Returns how much of the text is written. Without room to spare, or at invalid UTF-8, that may be nothing.
template <class Buffer>
std::size_t append_json_blocks(Buffer& out, std::string_view text) noexcept {
    const auto size = static_cast<std::ptrdiff_t>(text.size());
    char* const begin = out.ensure(text.size() + json_block_room);
    if (!begin) return 0;
    char padded[2 * json_block_reach];
    const char* from = text.data();
    const char* end = from + size - (json_block_reach - 1);
    const bool is_short = size < json_block_reach;
    if (is_short) {
        std::char_traits<char>::assign(padded, sizeof padded, ' ');
        from = std::char_traits<char>::copy(padded, text.data(), text.size());
        end = from + size;
    }
    const json_position stop = escape_json_blocks(from, end, begin, begin + size);
    const std::ptrdiff_t padding = is_short && stop.from > end ? stop.from - end : 0;
    out.commit(static_cast<std::size_t>(stop.to - begin - padding));
    return static_cast<std::size_t>(stop.from - from - padding);
}
#else
template <class Buffer>
std::size_t append_json_blocks(Buffer&, std::string_view) noexcept {
    return 0;
}
#endif

template <class Buffer>
bool append_json_chars(Buffer& out, std::string_view text) noexcept {
    while (!text.empty()) {
        if (const std::size_t done = append_json_blocks(out, text); done != 0) {
            text.remove_prefix(done);
            continue;
        }
        std::size_t run = 0;
        while (run < text.size() && static_cast<unsigned char>(text[run]) < 0x80 &&
               json_escape_letter(text[run]) == '\0')
            ++run;
        if (run != 0) {
            if (!append_bytes(out, prefix_of(text, run))) return false;
        } else if (const char letter = json_escape_letter(text[0]); letter != '\0') {
            char escape[6];
            const char* const end = write_json_escape(escape, text[0], letter);
            if (!append_bytes(out, {escape, static_cast<std::size_t>(end - escape)})) return false;
            run = 1;
        } else {
            run = decode_utf8(text).length;
            if (!append_utf8(out, prefix_of(text, run))) return false;
        }
        text.remove_prefix(run);
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
