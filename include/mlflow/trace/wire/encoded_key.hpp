// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/wire/otlp_fields.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// An attribute whose lengths take one byte each. Its key is an `encoded_key` or a `short_key`.
inline constexpr std::size_t longest_encoded_key = 64;
inline constexpr std::size_t longest_short_attribute = 0x7f + 2;

// The bytes of an attribute up to its value, made at compile time.
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

    [[nodiscard]] static constexpr std::size_t size() noexcept { return KeySize; }
    [[nodiscard]] static constexpr bool is_ascii() noexcept { return true; }
    char* write(char* to) const noexcept {
        std::memcpy(to, bytes_, sizeof bytes_);
        return to + sizeof bytes_;
    }

private:
    char bytes_[6 + KeySize]{};
};

// The same for a key that is known at run time.
class short_key {
public:
    explicit short_key(std::string_view key) noexcept : key_(key) {}

    [[nodiscard]] std::size_t size() const noexcept { return key_.size(); }
    [[nodiscard]] bool is_ascii() const noexcept { return is_ascii_; } // once it is written
    char* write(char* to) noexcept {
        to[0] = short_tag(otlp::attributes, wire_type::length_delimited);
        to[2] = short_tag(otlp::key, wire_type::length_delimited);
        to[3] = static_cast<char>(key_.size());
        const short_copy copy = copy_short(to + 4, key_);
        is_ascii_ = copy.is_ascii();
        copy.end[0] = short_tag(otlp::value, wire_type::length_delimited);
        return copy.end + 2;
    }

private:
    std::string_view key_;
    bool is_ascii_ = false;
};

template <class Key>
char* end_short_attribute(const Key& key, char* begin, char* value, char* end) noexcept {
    begin[1] = static_cast<char>(end - begin - 2);
    value[-1] = static_cast<char>(end - value);
    return key.is_ascii() ? end : nullptr;
}

// The functions below write at most `longest_short_attribute` bytes and return their end, or null if the key or the
// text is not ASCII.
template <class Key>
char* write_short_attribute(Key& key, char* to, std::int64_t value) noexcept {
    char* const at = key.write(to);
    *at = short_tag(otlp::int_value, wire_type::varint);
    return end_short_attribute(key, to, at, write_varint(at + 1, static_cast<std::uint64_t>(value)));
}
template <class Key>
char* write_short_attribute(Key& key, char* to, bool value) noexcept {
    char* const at = key.write(to);
    at[0] = short_tag(otlp::bool_value, wire_type::varint);
    at[1] = value ? '\1' : '\0';
    return end_short_attribute(key, to, at, at + 2);
}
template <class Key>
char* write_short_attribute(Key& key, char* to, double value) noexcept {
    char* const at = key.write(to);
    at[0] = short_tag(otlp::double_value, wire_type::fixed64);
    return end_short_attribute(key, to, at, write_fixed64(at + 1, std::bit_cast<std::uint64_t>(value)));
}
// The key and the text have at most 120 bytes together.
template <class Key>
char* write_short_attribute(Key& key, char* to, std::string_view text) noexcept {
    char* const at = key.write(to);
    at[0] = short_tag(otlp::string_value, wire_type::length_delimited);
    at[1] = static_cast<char>(text.size());
    const short_copy copy = copy_short(at + 2, text);
    return copy.is_ascii() ? end_short_attribute(key, to, at, copy.end) : nullptr;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
