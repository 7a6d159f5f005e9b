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

/// The text of an ID: a value that does not allocate and converts to `std::string_view`.
template <std::size_t Size>
struct id_text {
    /// The characters, without a terminating null.
    char characters[Size]{};

    /// The text as a view, valid as long as this object.
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {characters, Size}; }
    /// Converts to the same view.
    constexpr operator std::string_view() const noexcept { return view(); }
    friend constexpr bool operator==(const id_text&, const id_text&) noexcept = default;
};

namespace detail {

constexpr void write_hex(char* to, std::uint64_t value) noexcept {
    for (int shift = 60; shift >= 0; shift -= 4) *to++ = "0123456789abcdef"[(value >> shift) & 15U];
}

inline void write_big_endian(char* to, std::uint64_t value) noexcept {
    if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap64(value);
    std::memcpy(to, &value, sizeof value);
}

} // namespace detail

/// The ID of a span, parent-id of W3C Trace Context: 8 bytes, not all zero when valid.
struct span_id {
    std::uint64_t value = 0; ///< the 8 bytes read as a big-endian number

    /// Whether the ID is not zero.
    [[nodiscard]] constexpr bool valid() const noexcept { return value != 0; }
    /// The ID as 16 lowercase hexadecimal digits.
    [[nodiscard]] constexpr id_text<16> hex() const noexcept {
        id_text<16> text;
        detail::write_hex(text.characters, value);
        return text;
    }
    friend constexpr bool operator==(span_id, span_id) noexcept = default;
};

/// The ID of a trace, trace-id of W3C Trace Context: 16 bytes, not all zero when valid.
struct trace_id {
    std::uint64_t high = 0; ///< the first 8 bytes, big-endian
    std::uint64_t low = 0;  ///< the last 8 bytes, big-endian

    /// Whether the ID is not zero.
    [[nodiscard]] constexpr bool valid() const noexcept { return (high | low) != 0; }
    /// The ID as 32 lowercase hexadecimal digits.
    [[nodiscard]] constexpr id_text<32> hex() const noexcept {
        id_text<32> text;
        detail::write_hex(text.characters, high);
        detail::write_hex(text.characters + 16, low);
        return text;
    }
    /// The ID as MLflow writes it: `tr-` and the 32 hexadecimal digits.
    [[nodiscard]] constexpr id_text<35> mlflow_id() const noexcept {
        id_text<35> text{{'t', 'r', '-'}};
        detail::write_hex(text.characters + 3, high);
        detail::write_hex(text.characters + 19, low);
        return text;
    }
    friend constexpr bool operator==(const trace_id&, const trace_id&) noexcept = default;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
