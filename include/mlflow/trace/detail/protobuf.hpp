// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// Protobuf's wire format, https://protobuf.dev/programming-guides/encoding/.
enum class wire_type : std::uint8_t { varint = 0, fixed64 = 1, length_delimited = 2, fixed32 = 5 };

// One byte: field numbers up to 15.
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

inline char* write_fixed64(char* to, std::uint64_t value) noexcept {
    for (int shift = 0; shift < 64; shift += 8) *to++ = static_cast<char>((value >> shift) & 255U);
    return to;
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

// A length that is known only after what it counts is written: room for a varint of fixed width, over-long but valid,
// which protobuf's parsers accept up to ten bytes.
template <class Buffer>
class late_length {
public:
    static constexpr std::size_t width = 4;
    static constexpr std::size_t limit = std::size_t{1} << (7 * width);

    explicit late_length(Buffer& out) noexcept : out_(out), at_(out.size()) {
        if (out.ensure(width)) out.commit(width);
        else failed_ = true;
    }
    // False, with the length left out, when the room could not be had or the content is over 256 MiB.
    [[nodiscard]] bool close() noexcept {
        if (failed_) return false;
        std::size_t size = out_.size() - at_ - width;
        if (size >= limit) return false;
        char* to = out_.data() + at_;
        for (std::size_t i = 0; i + 1 < width; ++i, size >>= 7U) *to++ = static_cast<char>(size | 0x80U);
        *to = static_cast<char>(size);
        return true;
    }

private:
    Buffer& out_;
    std::size_t at_;
    bool failed_ = false;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
