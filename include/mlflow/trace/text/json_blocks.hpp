// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/text/characters16.hpp>
#include <mlflow/trace/text/json_escape.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// How JSON text is escaped: the instruction set. All ways write the same bytes.
enum class json_way : unsigned char { by_character, sse2, ssse3, vbmi2 };

#if defined(__SSE2__)
inline constexpr std::ptrdiff_t json_block = 32;
// The number of bytes that must be readable from each position before the end: a block that begins at the last byte
// of a block.
inline constexpr std::ptrdiff_t json_block_reach = 2 * json_block;
// The most that one block may write: 32 escapes of 6 characters, and one more store whose content is not used.
inline constexpr std::ptrdiff_t json_block_room = 7 * json_block;

struct json_position {
    const char* from;
    char* to;
    bool is_valid = true; // false if invalid UTF-8 begins at `from`
};

// Escapes one block with any content. `special` has a bit for each byte that is not copied as it is.
[[gnu::noinline]] inline json_position escape_json_block(const char* from, char* to, std::uint32_t special) noexcept {
    std::ptrdiff_t done = 0;
    std::ptrdiff_t size = json_block;
    while (special != 0) {
        std::ptrdiff_t at = std::countr_zero(special);
        if (const char letter = json_escape_letter(from[at]); letter != '\0') {
            to = write_json_escape(to + (at - done), from[at], letter);
            done = at + 1;
            store16(to, load16(from + done));
            store16(to + 16, load16(from + done + 16));
            special &= special - 1;
            continue;
        }
        do {
            const std::size_t length = utf8_sequence_length(from + at);
            if (length == 0) return {from + at, to + (at - done), false};
            size = at;
            at += static_cast<std::ptrdiff_t>(length);
        } while (at < json_block && static_cast<unsigned char>(from[at]) >= 0x80);
        if (at > json_block) break; // the last sequence goes into the next block
        size = json_block;
        special = at < json_block ? special >> at << at : 0;
    }
    return {from + size, to + (size - done)};
}

struct json_specials {
    characters16 quoted_low, quoted_high; // by a backslash before it: quotes and backslashes
    characters16 other_low, other_high;   // control characters, and what is not ASCII
};

[[gnu::always_inline]] inline json_specials json_specials_of(characters16 low, characters16 high) noexcept {
    // The comparison is signed, so that it also finds bytes outside ASCII.
    return {(low == sixteen('"')) | (low == sixteen('\\')), (high == sixteen('"')) | (high == sixteen('\\')),
            low < sixteen(' '), high < sixteen(' ')};
}

// Each of these functions stops at `end` or at most 31 bytes after it, when `to` has passed `last`, or at invalid
// UTF-8.
inline json_position escape_json_sse2(const char* from, const char* end, char* to, const char* last) noexcept {
    while (from < end && to <= last) {
        const characters16 low = load16(from);
        const characters16 high = load16(from + 16);
        store16(to, low);
        store16(to + 16, high);
        const auto [quoted_low, quoted_high, other_low, other_high] = json_specials_of(low, high);
        const characters16 special_low = quoted_low | other_low;
        const characters16 special_high = quoted_high | other_high;
        if (mask16(special_low | special_high) == 0) [[likely]] {
            from += json_block;
            to += json_block;
            continue;
        }
        const json_position next = escape_json_block(from, to, mask16(special_low) | mask16(special_high) << 16);
        if (!next.is_valid) return next;
        from = next.from;
        to = next.to;
    }
    return {from, to};
}

// For each set of escaped characters among eight: the index of each of the up to sixteen characters that are written.
// The index of a backslash has its highest bit set, for which the shuffle writes 0.
struct json_shuffles {
    struct alignas(16) row {
        char from[16];
    };
    row rows[256]{};
    unsigned char size[256]{};

    consteval json_shuffles() noexcept {
        for (unsigned special = 0; special < 256; ++special) {
            unsigned at = 0;
            for (unsigned i = 0; i < 8; ++i) {
                if ((special >> i & 1U) != 0) rows[special].from[at++] = static_cast<char>(0x80);
                rows[special].from[at++] = static_cast<char>(i);
            }
            size[special] = static_cast<unsigned char>(at);
            for (; at < 16; ++at) rows[special].from[at] = static_cast<char>(0x80);
        }
    }
};
inline constexpr json_shuffles json_shuffle_of{};

// Writes eight characters, with a backslash before each that has its bit in `special`.
__attribute__((target("ssse3"), always_inline)) inline char* escape_eight(char* to, characters16 eight,
                                                                          std::uint32_t special) noexcept {
    using plain [[gnu::vector_size(16)]] = char;
    const characters16 from = load16(json_shuffle_of.rows[special].from);
    const auto shuffled = __builtin_ia32_pshufb128(reinterpret_cast<plain>(eight), reinterpret_cast<plain>(from));
    store16(to, reinterpret_cast<characters16>(shuffled) | ((from < sixteen(0)) & sixteen('\\')));
    return to + json_shuffle_of.size[special];
}

__attribute__((target("ssse3"))) inline json_position escape_json_ssse3(const char* from, const char* end, char* to,
                                                                        const char* last) noexcept {
    using halves [[gnu::vector_size(16)]] = long long;
    const auto upper = [](characters16 whole) {
        const auto two = reinterpret_cast<halves>(whole);
        return reinterpret_cast<characters16>(halves{two[1], 0});
    };
    while (from < end && to <= last) {
        const characters16 low = load16(from);
        const characters16 high = load16(from + 16);
        store16(to, low);
        store16(to + 16, high);
        const auto [quoted_low, quoted_high, other_low, other_high] = json_specials_of(low, high);
        if (mask16(quoted_low | other_low | quoted_high | other_high) == 0) [[likely]] {
            from += json_block;
            to += json_block;
        } else if (mask16(other_low | other_high) == 0) [[likely]] {
            const std::uint32_t in_low = mask16(quoted_low);
            const std::uint32_t in_high = mask16(quoted_high);
            to = escape_eight(to, low, in_low & 255U);
            to = escape_eight(to, upper(low), in_low >> 8U);
            to = escape_eight(to, high, in_high & 255U);
            to = escape_eight(to, upper(high), in_high >> 8U);
            from += json_block;
        } else {
            const json_position next =
                escape_json_block(from, to, mask16(quoted_low | other_low) | mask16(quoted_high | other_high) << 16);
            if (!next.is_valid) return next;
            from = next.from;
            to = next.to;
        }
    }
    return {from, to};
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,bmi2,popcnt"))) inline json_position
escape_json_vbmi2(const char* from, const char* end, char* to, const char* last) noexcept {
    using characters32 [[gnu::vector_size(32)]] = char;
    using bytes32 [[gnu::vector_size(32)]] = unsigned char;
    using pairs32 [[gnu::vector_size(64)]] = unsigned short;
    using characters64 [[gnu::vector_size(64)]] = char;
    enum comparison { equal = 0, less = 1 };
    constexpr auto all = static_cast<std::uint32_t>(-1);
    json_position at{from, to};
    while (at.is_valid && at.from < end && at.to <= last) {
        characters32 block;
        std::memcpy(&block, at.from, sizeof block);
        const auto quoted =
            static_cast<std::uint32_t>(__builtin_ia32_cmpb256_mask(block, characters32{} + '"', equal, all) |
                                       __builtin_ia32_cmpb256_mask(block, characters32{} + '\\', equal, all));
        const auto other =
            static_cast<std::uint32_t>(__builtin_ia32_cmpb256_mask(block, characters32{} + ' ', less, all));
        if (other != 0) [[unlikely]] {
            std::memcpy(at.to, &block, sizeof block);
            at = escape_json_block(at.from, at.to, quoted | other);
            continue;
        }
        at.from += json_block;
        if (quoted == 0) {
            std::memcpy(at.to, &block, sizeof block);
            at.to += json_block;
            continue;
        }
        // A backslash before each character; compression then drops the backslashes that are not needed.
        const pairs32 pairs = __builtin_convertvector(reinterpret_cast<bytes32>(block), pairs32) << 8 | '\\';
        const auto kept = __builtin_ia32_pdep_di(quoted, 0x5555555555555555U) | 0xAAAAAAAAAAAAAAAAU;
        const characters64 packed =
            __builtin_ia32_compressqi512_mask(reinterpret_cast<characters64>(pairs), characters64{}, kept);
        std::memcpy(at.to, &packed, sizeof packed);
        at.to += json_block + std::popcount(quoted);
    }
    return at;
}

#endif

inline json_way best_json_way() noexcept {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2"))
        return json_way::vbmi2;
#endif
    return __builtin_cpu_supports("ssse3") ? json_way::ssse3 : json_way::sse2;
}

inline json_position escape_json_blocks(json_way way, const char* from, const char* end, char* to,
                                        const char* last) noexcept {
#if defined(__x86_64__)
    if (way == json_way::vbmi2) return escape_json_vbmi2(from, end, to, last);
#endif
    if (way == json_way::ssse3) return escape_json_ssse3(from, end, to, last);
    return escape_json_sse2(from, end, to, last);
}

// Returns how many bytes of the text were written. This may be 0 if the buffer has no spare room, or at invalid
// UTF-8.
template <class Buffer>
std::size_t append_json_blocks(Buffer& out, std::string_view text, json_way way) noexcept {
    if (way == json_way::by_character) return 0;
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
    const json_position stop = escape_json_blocks(way, from, end, begin, begin + size);
    const std::ptrdiff_t padding = is_short && stop.from > end ? stop.from - end : 0;
    out.commit(static_cast<std::size_t>(stop.to - begin - padding));
    return static_cast<std::size_t>(stop.from - from - padding);
}

// Set before main. While static objects are initialised it may still be `by_character`.
inline const json_way json_way_here = best_json_way();
#else
inline constexpr json_way json_way_here = json_way::by_character;

template <class Buffer>
std::size_t append_json_blocks(Buffer&, std::string_view, json_way) noexcept {
    return 0;
}
#endif

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
