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
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// How JSON text is escaped: the instruction set. All ways write the same bytes.
enum class json_way : unsigned char { by_character, ssse3, avx2, vbmi2 };

#if defined(__SSE2__)
inline constexpr std::ptrdiff_t json_block = 32;
// The number of bytes that `escape_json_block` may read: a block, and one that begins at the last byte of it.
inline constexpr std::ptrdiff_t json_block_reach = 2 * json_block;
// The most that one block may write: 32 escapes of 6 characters, and one more store whose content is not used.
inline constexpr std::ptrdiff_t json_block_room = 7 * json_block;

struct json_position { // is returned in registers
    const char* from;
    char* to;
};

// Escapes one block with any content. `special` has a bit for each byte that is not copied as it is. Stops before
// invalid UTF-8; if it begins at `from`, nothing is written.
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
            if (length == 0) return {from + at, to + (at - done)};
            size = at;
            at += static_cast<std::ptrdiff_t>(length);
        } while (at < json_block && static_cast<unsigned char>(from[at]) >= 0x80);
        if (at > json_block) break; // the last sequence goes into the next block
        size = json_block;
        special = at < json_block ? special >> at << at : 0;
    }
    return {from + size, to + (size - done)};
}

// The same for a block whose content is rare. Returns false where the caller has to stop: less than it may read is
// readable, or invalid UTF-8 begins at `from`.
[[gnu::always_inline]] inline bool escape_rare_block(const char*& from, char*& to, const char* readable,
                                                     std::uint32_t special) noexcept {
    if (readable - from < json_block_reach) return false;
    std::memcpy(to, from, json_block);
    const json_position next = escape_json_block(from, to, special);
    const bool has_written = next.from != from;
    from = next.from;
    to = next.to;
    return has_written;
}

struct json_specials {
    std::uint32_t quoted; // by a backslash before it: quotes and backslashes
    std::uint32_t other;  // control characters, and what is not ASCII
};

inline json_specials json_specials_of(const char* block) noexcept {
    const characters16 low = load16(block);
    const characters16 high = load16(block + 16);
    // The comparison is signed, so that it also finds bytes outside ASCII.
    return {mask16((low == sixteen('"')) | (low == sixteen('\\'))) |
                mask16((high == sixteen('"')) | (high == sixteen('\\'))) << 16U,
            mask16(low < sixteen(' ')) | mask16(high < sixteen(' ')) << 16U};
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

// Each of the functions below stops at `end` or at most 31 bytes after it, when `to` has passed `last`, at invalid
// UTF-8, or at a block that cannot be escaped without reading too far.
__attribute__((target("ssse3"))) inline json_position
escape_json_ssse3(const char* from, const char* end, const char* readable, char* to, const char* last) noexcept {
    using halves [[gnu::vector_size(16)]] = long long;
    while (from < end && to <= last) {
        const auto [quoted, other] = json_specials_of(from);
        if (other != 0) [[unlikely]] {
            if (!escape_rare_block(from, to, readable, quoted | other)) break;
            continue;
        }
        if (quoted == 0) {
            std::memcpy(to, from, json_block);
            to += json_block;
        } else {
            const characters16 low = load16(from);
            const characters16 high = load16(from + 16);
            to = escape_eight(to, low, quoted & 255U);
            to = escape_eight(to, reinterpret_cast<characters16>(halves{reinterpret_cast<halves>(low)[1]}),
                              quoted >> 8U & 255U);
            to = escape_eight(to, high, quoted >> 16U & 255U);
            to = escape_eight(to, reinterpret_cast<characters16>(halves{reinterpret_cast<halves>(high)[1]}),
                              quoted >> 24U);
        }
        from += json_block;
    }
    return {from, to};
}

#if defined(__x86_64__)
using characters32 [[gnu::vector_size(32)]] = signed char;

__attribute__((target("avx2"), always_inline)) inline std::uint32_t mask32(const characters32& characters) noexcept {
    using plain [[gnu::vector_size(32)]] = char;
    return static_cast<std::uint32_t>(__builtin_ia32_pmovmskb256(reinterpret_cast<const plain&>(characters)));
}

// As escape_eight, for two groups of eight: each half of `eights` holds one of them twice.
template <class Groups>
__attribute__((target("avx2"), always_inline)) inline char* escape_sixteen(char* to, const Groups& eights,
                                                                           std::uint32_t special) noexcept {
    using plain [[gnu::vector_size(32)]] = char;
    const std::uint32_t in_first = special & 255U;
    const std::uint32_t in_second = special >> 8U & 255U;
    const characters16 first = load16(json_shuffle_of.rows[in_first].from);
    const characters16 second = load16(json_shuffle_of.rows[in_second].from);
    const characters32 from =
        __builtin_shufflevector(first, second, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                                20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    const auto shuffled =
        __builtin_ia32_pshufb256(reinterpret_cast<const plain&>(eights), reinterpret_cast<const plain&>(from));
    const characters32 written =
        reinterpret_cast<const characters32&>(shuffled) | ((from < characters32{}) & (characters32{} + '\\'));
    store16(to, __builtin_shufflevector(written, written, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    to += json_shuffle_of.size[in_first];
    store16(to, __builtin_shufflevector(written, written, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
                                        31));
    return to + json_shuffle_of.size[in_second];
}

__attribute__((target("avx2"))) inline json_position
escape_json_avx2(const char* from, const char* end, const char* readable, char* to, const char* last) noexcept {
    using groups [[gnu::vector_size(32)]] = long long;
    while (from < end && to <= last) {
        characters32 block;
        std::memcpy(&block, from, sizeof block);
        const std::uint32_t quoted = mask32((block == characters32{} + '"') | (block == characters32{} + '\\'));
        if (const std::uint32_t other = mask32(block < characters32{} + ' '); other != 0) [[unlikely]] {
            if (!escape_rare_block(from, to, readable, quoted | other)) break;
            continue;
        }
        from += json_block;
        if (quoted == 0) {
            std::memcpy(to, &block, sizeof block);
            to += json_block;
            continue;
        }
        const auto four = reinterpret_cast<groups>(block);
        to = escape_sixteen(to, __builtin_shufflevector(four, four, 0, 0, 1, 1), quoted);
        to = escape_sixteen(to, __builtin_shufflevector(four, four, 2, 2, 3, 3), quoted >> 16U);
    }
    return {from, to};
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,bmi2,popcnt"))) inline json_position
escape_json_vbmi2(const char* from, const char* end, const char* readable, char* to, const char* last) noexcept {
    using plain32 [[gnu::vector_size(32)]] = char;
    using bytes32 [[gnu::vector_size(32)]] = unsigned char;
    using pairs32 [[gnu::vector_size(64)]] = unsigned short;
    using characters64 [[gnu::vector_size(64)]] = char;
    enum comparison { equal = 0, less = 1 };
    constexpr auto all = static_cast<std::uint32_t>(-1);
    while (from < end && to <= last) {
        plain32 block;
        std::memcpy(&block, from, sizeof block);
        const auto quoted =
            static_cast<std::uint32_t>(__builtin_ia32_cmpb256_mask(block, plain32{} + '"', equal, all) |
                                       __builtin_ia32_cmpb256_mask(block, plain32{} + '\\', equal, all));
        const auto other = static_cast<std::uint32_t>(__builtin_ia32_cmpb256_mask(block, plain32{} + ' ', less, all));
        if (other != 0) [[unlikely]] {
            if (!escape_rare_block(from, to, readable, quoted | other)) break;
            continue;
        }
        from += json_block;
        if (quoted == 0) {
            std::memcpy(to, &block, sizeof block);
            to += json_block;
            continue;
        }
        // A backslash before each character; compression then drops the backslashes that are not needed.
        const pairs32 pairs = __builtin_convertvector(reinterpret_cast<bytes32>(block), pairs32) << 8 | '\\';
        const auto kept = __builtin_ia32_pdep_di(quoted, 0x5555555555555555U) | 0xAAAAAAAAAAAAAAAAU;
        const characters64 packed =
            __builtin_ia32_compressqi512_mask(reinterpret_cast<characters64>(pairs), characters64{}, kept);
        std::memcpy(to, &packed, sizeof packed);
        to += json_block + std::popcount(quoted);
    }
    return {from, to};
}

#endif

inline json_way best_json_way() noexcept {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2"))
        return json_way::vbmi2;
    if (__builtin_cpu_supports("avx2")) return json_way::avx2;
#endif
    return __builtin_cpu_supports("ssse3") ? json_way::ssse3 : json_way::by_character;
}

inline json_position escape_json_blocks(json_way way, const char* from, const char* end, const char* readable,
                                        char* to, const char* last) noexcept {
#if defined(__x86_64__)
    if (way == json_way::vbmi2) return escape_json_vbmi2(from, end, readable, to, last);
    if (way == json_way::avx2) return escape_json_avx2(from, end, readable, to, last);
#endif
    return escape_json_ssse3(from, end, readable, to, last);
}

// Writes the text from `begin`; what is before it must be written. Returns how many bytes of the text were written.
// This may be 0 if the buffer has no spare room, or at invalid UTF-8.
template <class Buffer>
std::size_t append_json_blocks(Buffer& out, std::string_view text, std::size_t begin, json_way way) noexcept {
    if (way == json_way::by_character) return 0;
    const auto size = static_cast<std::ptrdiff_t>(text.size() - begin);
    const std::ptrdiff_t usual_size = size + size / 8;
    char* const to = out.ensure(static_cast<std::size_t>(usual_size + json_block_room));
    if (!to) return 0;
    const char* const last = to + usual_size;
    const char* const from = text.data() + begin;
    const char* const end = from + size;
    json_position at{from, to};
    if (size >= json_block) at = escape_json_blocks(way, from, end - (json_block - 1), end, to, last);
    // The rest of less than a block is written as a whole block, which overlaps what has been written.
    if (at.from < end && end - at.from < json_block && at.to <= last &&
        std::cmp_less_equal(json_block, text.size())) {
        const char* const block = end - json_block;
        const std::ptrdiff_t overlap = at.from - block;
        const json_specials in = json_specials_of(block);
        const std::uint32_t again = in.quoted & ((std::uint32_t{1} << overlap) - 1);
        if (in.other == 0)
            at = escape_json_blocks(way, block, end, end, at.to - overlap - std::popcount(again), last);
    }
    // A rest with other characters is copied, with spaces after it, so that more can be read.
    if (at.from < end && end - at.from < json_block_reach && at.to <= last) {
        char padded[2 * json_block_reach];
        const auto rest = static_cast<std::size_t>(end - at.from);
        char* const spaces = std::char_traits<char>::copy(padded, at.from, rest) + rest;
        std::memset(spaces, ' ', json_block_reach);
        const json_position stop = escape_json_blocks(way, padded, spaces, spaces + json_block_reach, at.to, last);
        const std::ptrdiff_t padding = stop.from > spaces ? stop.from - spaces : 0;
        at = {at.from + (stop.from - padding - padded), stop.to - padding};
    }
    out.commit(static_cast<std::size_t>(at.to - to));
    return static_cast<std::size_t>(at.from - from);
}

// Set before main. While static objects are initialised it may still be `by_character`.
inline const json_way json_way_here = best_json_way();
#else
inline constexpr json_way json_way_here = json_way::by_character;

template <class Buffer>
std::size_t append_json_blocks(Buffer&, std::string_view, std::size_t, json_way) noexcept {
    return 0;
}
#endif

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
