// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// CRC-32C of RFC 3720 (iSCSI), eight bytes at a time ("slicing-by-8"): about 1 µs for 2 KB.
struct crc32c_tables {
    std::array<std::array<std::uint32_t, 256>, 8> of{};

    consteval crc32c_tables() {
        constexpr std::uint32_t reversed_polynomial = 0x82f63b78U;
        for (std::uint32_t byte = 0; byte < 256; ++byte) {
            std::uint32_t crc = byte;
            for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ (crc & 1U ? reversed_polynomial : 0U);
            of[0][byte] = crc;
        }
        for (std::size_t slice = 1; slice < 8; ++slice)
            for (std::size_t byte = 0; byte < 256; ++byte)
                of[slice][byte] = of[slice - 1][byte] >> 8U ^ of[0][of[slice - 1][byte] & 255U];
    }
};

template <class Number>
constexpr Number read_little_endian(const char* from) noexcept {
    Number value = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i)
        value |= static_cast<Number>(static_cast<unsigned char>(from[i])) << (8 * i);
    return value;
}

// `before` is the checksum of the preceding bytes.
constexpr std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0) noexcept {
    constexpr crc32c_tables tables;
    std::uint32_t crc = ~before;
    for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
        const auto eight = read_little_endian<std::uint64_t>(bytes.data()) ^ crc;
        crc = 0;
        for (unsigned i = 0; i < 8; ++i) crc ^= tables.of[7 - i][eight >> (8 * i) & 255U];
    }
    for (const char byte : bytes) crc = crc >> 8U ^ tables.of[0][(crc ^ static_cast<unsigned char>(byte)) & 255U];
    return ~crc;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
