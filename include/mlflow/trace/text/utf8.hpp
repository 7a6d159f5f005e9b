// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/text/characters16.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// std::string_view::substr without its range check: the check throws, which needs a runtime that a device lacks.
constexpr std::string_view prefix_of(std::string_view text, std::size_t size) noexcept { return {text.data(), size}; }
constexpr std::string_view suffix_from(std::string_view text, std::size_t at) noexcept {
    return {text.data() + at, text.size() - at};
}

struct utf8_step {
    std::uint32_t code_point; // U+FFFD when invalid
    std::size_t length;       // bytes to skip; when invalid, the maximal subpart that one U+FFFD replaces
    bool valid;
};

// Decodes the first code point of a text that is not empty. The ranges are those of table 3-7 of the Unicode
// standard.
constexpr utf8_step decode_utf8(std::string_view text) noexcept {
    const auto byte = [text](std::size_t at) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at]));
    };
    const std::uint32_t lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    if (lead < 0xC2 || lead > 0xF4) return {0xFFFD, 1, false};
    const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    std::uint32_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    std::uint32_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    std::uint32_t code_point = lead & (0x7FU >> length);
    for (std::size_t at = 1; at < length; ++at) {
        if (at >= text.size() || byte(at) < low || byte(at) > high) return {0xFFFD, at, false};
        code_point = code_point << 6 | (byte(at) & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    return {code_point, length, true};
}

// The length of a valid sequence of 2 to 4 bytes, otherwise 0. Four bytes must be readable. Agrees with decode_utf8,
// but takes fewer instructions, which matters for text in other scripts than Latin.
constexpr std::size_t utf8_sequence_length(const char* text) noexcept {
    const auto byte = [text](int at) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at])); };
    const std::uint32_t word = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    if ((word & 0xC0C0F0) == 0x8080E0) {
        const std::uint32_t top = word & 0x200F;  // the highest 5 of 16 bits
        return top != 0 && top != 0x200D ? 3 : 0; // overlong; surrogate
    }
    if ((word & 0xC0E0) == 0x80C0) return (word & 0x1E) != 0 ? 2 : 0; // overlong
    if ((word & 0xC0C0C0F8) == 0x808080F0) {
        const std::uint32_t plane = (word & 0x07) << 2 | (word & 0x3000) >> 12;
        return plane >= 0x01 && plane <= 0x10 ? 4 : 0;
    }
    return 0;
}

// Writes at most 4 bytes and returns how many. Surrogates become U+FFFD.
constexpr std::size_t encode_utf8(char* to, std::uint32_t code_point) noexcept {
    if (code_point < 0x80) {
        *to = static_cast<char>(code_point);
        return 1;
    }
    if (code_point >= 0xD800 && code_point < 0xE000) code_point = 0xFFFD;
    const std::size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (std::size_t at = length - 1; at > 0; --at, code_point >>= 6)
        to[at] = static_cast<char>(0x80 | (code_point & 0x3F));
    to[0] = static_cast<char>((0xF00U >> length & 0xFFU) | code_point);
    return length;
}

constexpr bool is_control(std::uint32_t code_point) noexcept {
    return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
}

struct utf8_scan {
    static constexpr std::size_t npos = static_cast<std::size_t>(-1);

    std::size_t code_points = 0;   // each invalid subpart counts as one U+FFFD
    std::size_t invalid_at = npos; // offset of the first invalid byte
    std::size_t control_at = npos; // offset of the first C0, DEL or C1
};

constexpr utf8_scan scan_utf8(std::string_view text) noexcept {
    utf8_scan scan;
    for (std::size_t at = 0; at < text.size(); ++scan.code_points) {
        const utf8_step step = decode_utf8(suffix_from(text, at));
        if (!step.valid && scan.invalid_at == utf8_scan::npos) scan.invalid_at = at;
        if (is_control(step.code_point) && scan.control_at == utf8_scan::npos) scan.control_at = at;
        at += step.length;
    }
    return scan;
}

// The number of bytes before the first invalid one.
inline std::size_t valid_utf8_prefix(std::string_view text) noexcept {
    std::size_t at = 0;
    while (at < text.size()) {
#if defined(__SSE2__)
        while (text.size() - at >= 16) {
            if (mask16(load16(text.data() + at)) != 0) break;
            at += 16;
        }
        if (at == text.size()) break;
#endif
        // Reads a run of characters outside ASCII. Text in one script would otherwise return to the block loop after
        // each character.
        do {
            std::size_t length = text.size() - at >= 4 ? utf8_sequence_length(text.data() + at) : 0;
            if (length == 0) {
                const utf8_step step = decode_utf8({text.data() + at, text.size() - at});
                if (!step.valid) return at;
                length = step.length;
            }
            at += length;
        } while (at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80);
    }
    return at;
}

// A short text, as most recorded texts are, is examined by two overlapping loads.
inline bool is_ascii(std::string_view text) noexcept {
    const char* const begin = text.data();
    const std::size_t size = text.size();
    const auto high_bits = [begin]<class Word>(std::size_t at, Word) {
        Word word;
        std::memcpy(&word, begin + at, sizeof word);
        return word & static_cast<Word>(0x8080808080808080U);
    };
    std::uint64_t found = 0;
    if (size >= 8) {
        std::size_t at = 0;
        for (; size - at > 8; at += 8) found |= high_bits(at, std::uint64_t{});
        found |= high_bits(size - 8, std::uint64_t{});
    } else if (size >= 4) {
        found = high_bits(0, std::uint32_t{}) | high_bits(size - 4, std::uint32_t{});
    } else {
        for (const char c : text) found |= static_cast<unsigned char>(c) & 0x80U;
    }
    return found == 0;
}

inline std::string_view first_code_points(std::string_view text, std::size_t count) noexcept {
    std::size_t at = 0;
    while (at < text.size() && count-- > 0) at += decode_utf8(suffix_from(text, at)).length;
    return prefix_of(text, at);
}

inline bool is_valid_utf8(std::string_view text) noexcept {
    return is_ascii(text) || valid_utf8_prefix(text) == text.size();
}

// The append functions below and in the other writers return false when the buffer is full. A part may then have been
// written; the caller truncates the buffer to the earlier size.
template <class Buffer>
bool append_bytes(Buffer& out, std::string_view bytes) noexcept {
    if (bytes.empty()) return true;
    char* to = out.ensure(bytes.size());
    if (!to) return false;
    std::char_traits<char>::copy(to, bytes.data(), bytes.size());
    out.commit(bytes.size());
    return true;
}

// Appends text; each maximal invalid subpart becomes U+FFFD, as Unicode recommends and Python's errors="replace"
// does.
template <class Buffer>
bool append_utf8(Buffer& out, std::string_view text) noexcept {
    for (;;) {
        const std::size_t valid = valid_utf8_prefix(text);
        if (!append_bytes(out, prefix_of(text, valid))) return false;
        if (valid == text.size()) return true;
        if (!append_bytes(out, "\xEF\xBF\xBD")) return false;
        text.remove_prefix(valid);
        text.remove_prefix(decode_utf8(text).length);
    }
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
