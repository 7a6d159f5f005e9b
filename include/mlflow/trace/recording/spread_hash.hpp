// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A hash that is uniformly distributed over 64 bits, and the same on every machine. The rounds and the finalisation
// are those of xxHash64, by Yann Collet. The last bytes are read together with bytes before them, which is faster
// than reading them one by one.
inline std::uint64_t spread_hash(std::string_view text) noexcept {
    constexpr std::uint64_t first = 0x9e3779b185ebca87U, second = 0xc2b2ae3d27d4eb4fU, third = 0x165667b19e3779f9U;
    const auto read = [](const char* from, auto word) {
        if constexpr (std::endian::native == std::endian::little) std::memcpy(&word, from, sizeof word);
        else
            for (std::size_t i = sizeof word; i-- > 0;)
                word = static_cast<decltype(word)>(word << 8U | static_cast<unsigned char>(from[i]));
        return static_cast<std::uint64_t>(word);
    };
    const auto round = [](std::uint64_t hash, std::uint64_t word) {
        return std::rotl(hash + word * second, 31) * first;
    };
    std::uint64_t even = first + second, odd = second; // two independent chains, which run in parallel
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= 16; at += 16, left -= 16) {
        even = round(even, read(at, std::uint64_t{}));
        odd = round(odd, read(at + 8, std::uint64_t{}));
    }
    if (left >= 8) {
        even = round(even, read(at, std::uint64_t{}));
        odd = round(odd, read(at + left - 8, std::uint64_t{}));
    } else if (left >= 4) {
        even = round(even, read(at, std::uint32_t{}) << 32U | read(at + left - 4, std::uint32_t{}));
    } else if (left > 0) {
        even = round(even, read(at, std::uint8_t{}) << 16U | read(at + left / 2, std::uint8_t{}) << 8U |
                               read(at + left - 1, std::uint8_t{}));
    }
    std::uint64_t hash = std::rotl(even, 1) + std::rotl(odd, 7) + text.size();
    hash = (hash ^ hash >> 33U) * second;
    hash = (hash ^ hash >> 29U) * third;
    return hash ^ hash >> 32U;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
