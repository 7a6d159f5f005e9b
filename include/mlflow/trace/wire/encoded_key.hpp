// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/wire/otlp_fields.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

inline constexpr std::size_t longest_encoded_key = 64;

// The bytes of an attribute up to its value, made at compile time. For values so short that each length takes one
// byte.
template <std::size_t KeySize>
class encoded_key {
    static_assert(KeySize <= longest_encoded_key);

public:
    consteval explicit encoded_key(std::string_view key) noexcept {
        bytes_[0] = short_tag(otlp::attributes, wire_type::length_delimited);
        bytes_[2] = short_tag(otlp::key, wire_type::length_delimited);
        bytes_[3] = static_cast<char>(KeySize);
        for (std::size_t i = 0; i < KeySize; ++i) bytes_[4 + i] = key[i];
        bytes_[4 + KeySize] = short_tag(otlp::value, wire_type::length_delimited);
    }

    // The most bytes that an attribute with a number takes.
    static constexpr std::size_t number_size = 6 + KeySize + 1 + max_varint_size;
    static constexpr std::size_t longest_text = 0x7f - 6 - KeySize;
    static constexpr std::size_t text_size = 0x7f + 2;

    char* write_int(char* to, std::int64_t value) const noexcept {
        char* const at = write_key(to);
        *at = short_tag(otlp::int_value, wire_type::varint);
        return close(to, at, write_varint(at + 1, static_cast<std::uint64_t>(value)));
    }
    char* write_bool(char* to, bool value) const noexcept {
        char* const at = write_key(to);
        at[0] = short_tag(otlp::bool_value, wire_type::varint);
        at[1] = value ? '\1' : '\0';
        return close(to, at, at + 2);
    }
    char* write_double(char* to, std::uint64_t bits) const noexcept {
        char* const at = write_key(to);
        at[0] = short_tag(otlp::double_value, wire_type::fixed64);
        return close(to, at, write_fixed64(at + 1, bits));
    }
    // Takes a text of at most `longest_text` bytes. Returns null if the text is not ASCII.
    char* write_text(char* to, std::string_view text) const noexcept {
        char* const at = write_key(to);
        at[0] = short_tag(otlp::string_value, wire_type::length_delimited);
        at[1] = static_cast<char>(text.size());
        std::uint64_t bits = 0;
        char* const end = copy_short(at + 2, text, bits);
        return (bits & 0x8080808080808080U) == 0 ? close(to, at, end) : nullptr;
    }

private:
    char* write_key(char* to) const noexcept {
        std::memcpy(to, bytes_, sizeof bytes_);
        return to + sizeof bytes_;
    }
    static char* close(char* begin, char* value, char* end) noexcept {
        begin[1] = static_cast<char>(end - begin - 2);
        value[-1] = static_cast<char>(end - value);
        return end;
    }

    char bytes_[6 + KeySize]{};
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
