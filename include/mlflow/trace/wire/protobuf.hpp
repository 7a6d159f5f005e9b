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

// Protobuf's wire format: https://protobuf.dev/programming-guides/encoding/.
enum class wire_type : std::uint8_t { varint = 0, fixed64 = 1, length_delimited = 2, fixed32 = 5 };

// A tag of one byte, for field numbers up to 15.
constexpr char short_tag(unsigned field, wire_type type) noexcept {
    return static_cast<char>((field << 3U) | static_cast<unsigned>(type));
}

inline constexpr std::size_t max_varint_size = 10;

constexpr std::size_t varint_size(std::uint64_t value) noexcept {
    std::size_t size = 1;
    for (; value >= 0x80; value >>= 7U) ++size;
    return size;
}

constexpr char* write_varint(char* to, std::uint64_t value) noexcept {
    for (; value >= 0x80; value >>= 7U) *to++ = static_cast<char>(value | 0x80U);
    *to++ = static_cast<char>(value);
    return to;
}

inline char* write_little_endian(char* to, std::uint32_t value) noexcept {
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap32(value);
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}
inline char* write_fixed64(char* to, std::uint64_t value) noexcept {
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

inline char* write_bytes(char* to, std::string_view bytes) noexcept {
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    return to + bytes.size();
}

template <class Buffer>
bool append_varint(Buffer& out, std::uint64_t value) noexcept {
    char* const to = out.ensure(max_varint_size);
    if (!to) return false;
    out.commit(static_cast<std::size_t>(write_varint(to, value) - to));
    return true;
}

// A varint of fixed width. It may be longer than necessary, which protobuf parsers accept up to ten bytes.
inline constexpr std::size_t wide_varint_size = 4;
inline constexpr std::size_t wide_varint_limit = std::size_t{1} << (7 * wide_varint_size);

inline void write_wide_varint(char* to, std::size_t value) noexcept {
    const auto bits = static_cast<std::uint32_t>(value);
    const std::uint32_t spread =
        (bits & 0x7FU) | (bits & 0x3F80U) << 1U | (bits & 0x1FC000U) << 2U | (bits & 0xFE00000U) << 3U | 0x808080U;
    write_little_endian(to, spread);
}

// A length prefix that is filled in after the content has been written.
template <class Buffer>
class late_length {
public:
    explicit late_length(Buffer& out) noexcept : out_(out), at_(out.size()) {
        if (out.ensure(wide_varint_size)) out.commit(wide_varint_size);
        else failed_ = true;
    }
    // Fills in the length. Returns false if there was no memory for it, or if the content exceeds 256 MiB.
    [[nodiscard]] bool close() noexcept {
        if (failed_) return false;
        const std::size_t size = out_.size() - at_ - wide_varint_size;
        if (size >= wide_varint_limit) return false;
        write_wide_varint(out_.data() + at_, size);
        return true;
    }

private:
    Buffer& out_;
    std::size_t at_;
    bool failed_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
