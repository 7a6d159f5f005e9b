// SPDX-License-Identifier: Apache-2.0
// Escapes JSON text by the fastest way that is known for the processor: with AVX-512 VBMI2 without a branch for
// blocks that have no escape, so that there is nothing to guess, otherwise the way of the library. The text must be
// readable for 64 bytes past its end, and these bytes must be spaces.
#pragma once

#include <mlflow/trace/text/json_blocks.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace benchmarks::by_hand {

namespace d = mlflow::trace::detail;

#if defined(__SSE2__)
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,bmi2,popcnt"))) inline d::json_position
escape_vbmi2(const char* from, const char* end, char* to) noexcept {
    using characters32 [[gnu::vector_size(32)]] = char;
    using bytes32 [[gnu::vector_size(32)]] = unsigned char;
    using pairs32 [[gnu::vector_size(64)]] = unsigned short;
    using characters64 [[gnu::vector_size(64)]] = char;
    enum comparison { equal = 0, less = 1 };
    constexpr auto all = static_cast<std::uint32_t>(-1);
    for (; from < end; from += 32) {
        characters32 block;
        std::memcpy(&block, from, sizeof block);
        const auto quoted =
            static_cast<std::uint32_t>(__builtin_ia32_cmpb256_mask(block, characters32{} + '"', equal, all) |
                                       __builtin_ia32_cmpb256_mask(block, characters32{} + '\\', equal, all));
        if (__builtin_ia32_cmpb256_mask(block, characters32{} + ' ', less, all) != 0) [[unlikely]]
            return {from, to};
        const pairs32 pairs = __builtin_convertvector(reinterpret_cast<bytes32>(block), pairs32) << 8 | '\\';
        const auto kept = __builtin_ia32_pdep_di(quoted, 0x5555555555555555U) | 0xAAAAAAAAAAAAAAAAU;
        const characters64 packed =
            __builtin_ia32_compressqi512_mask(reinterpret_cast<characters64>(pairs), characters64{}, kept);
        std::memcpy(to, &packed, sizeof packed);
        to += 32 + std::popcount(quoted);
    }
    return {from, to};
}

inline char* escape(char* to, std::string_view text) noexcept {
    const char* const end = text.data() + text.size();
    d::json_position stop{text.data(), to};
    if (d::json_way_here == d::json_way::vbmi2) stop = escape_vbmi2(text.data(), end, to);
    if (stop.from < end) [[unlikely]]
        stop = d::escape_json_blocks(d::json_way_here, stop.from, end, end + 64, stop.to, stop.to + 4'096);
    return stop.to - (stop.from - end); // the spaces are not escaped
}
#else
inline char* escape(char* to, std::string_view text) noexcept {
    for (const char each : text) {
        if (each == '"' || each == '\\') *to++ = '\\';
        *to++ = each;
    }
    return to;
}
#endif

} // namespace benchmarks::by_hand
