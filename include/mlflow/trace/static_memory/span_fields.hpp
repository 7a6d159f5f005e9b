// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/span_kinds.hpp>
#include <mlflow/trace/static_memory/field_writer.hpp>
#include <mlflow/trace/values/json_value.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Values may be nested 16 deep, because each level takes stack.
template <>
class nesting<field_writer> {
public:
    explicit nesting(field_writer& out) noexcept : out_(out) { ++out_.depth; }
    nesting(const nesting&) = delete;
    nesting& operator=(const nesting&) = delete;
    ~nesting() { --out_.depth; }

    [[nodiscard]] bool is_too_deep() const noexcept { return out_.depth > 16; }
    static constexpr std::string_view marker = "[cut: too deep]";

private:
    field_writer& out_;
};

// The numbers are at most 20 digits long. Divides 16 bits at a time, because a division of 64 bits takes 700 bytes of
// libgcc on a 32-bit processor.
[[gnu::noinline]] inline bool append_json_uint(field_writer& out, std::uint64_t value,
                                               bool negative = false) noexcept {
    char digits[20];
    char* begin = digits + sizeof digits;
    std::uint32_t limbs[] = {static_cast<std::uint32_t>(value) & 0xffffU, static_cast<std::uint32_t>(value) >> 16U,
                             static_cast<std::uint32_t>(value >> 32U) & 0xffffU,
                             static_cast<std::uint32_t>(value >> 48U)};
    do {
        std::uint32_t rest = 0;
        for (std::size_t i = 4; i-- > 0;) {
            const std::uint32_t part = rest << 16U | limbs[i];
            limbs[i] = part / 10;
            rest = part % 10;
        }
        *--begin = static_cast<char>('0' + rest);
    } while ((limbs[0] | limbs[1] | limbs[2] | limbs[3]) != 0);
    if (negative) out.push_back('-');
    return out.append({begin, static_cast<std::size_t>(digits + sizeof digits - begin)});
}

// An attribute is a KeyValue as a field of a span, an event or a link.
inline bool append_encoded(field_writer& out, unsigned field, std::string_view key,
                           std::string_view any_value) noexcept {
    const std::size_t whole = out.open(field);
    out.text_field(otlp::key, key);
    const std::size_t value = out.open(otlp::value);
    out.append(any_value);
    return out.close(value) && out.close(whole);
}
[[gnu::noinline]] inline bool append_integer(field_writer& out, unsigned field, std::string_view key, unsigned type,
                                             std::uint64_t value) noexcept {
    const std::size_t whole = out.open(field);
    out.text_field(otlp::key, key);
    const std::size_t any = out.open(otlp::value);
    out.push_back(short_tag(type, wire_type::varint));
    out.varint(value);
    return out.close(any) && out.close(whole);
}
[[gnu::noinline]] inline bool append_double(field_writer& out, unsigned field, std::string_view key,
                                            double value) noexcept {
    char any_value[9] = {short_tag(otlp::double_value, wire_type::fixed64)};
    write_fixed64(any_value + 1, std::bit_cast<std::uint64_t>(value));
    return append_encoded(out, field, key, {any_value, sizeof any_value});
}
// Appends text, or JSON of it, which is to be read as JSON: then the value is written before the key (see
// `append_json_attribute` in wire/otlp_fields.hpp). `mark` follows a text that was shortened.
[[gnu::noinline]] inline bool append_text(field_writer& out, unsigned field, std::string_view key,
                                          std::string_view text, bool is_json = false,
                                          std::string_view mark = {}) noexcept {
    const std::size_t whole = out.open(field);
    if (!is_json) out.text_field(otlp::key, key);
    const std::size_t value = out.open(otlp::value);
    const std::size_t inner = out.open(otlp::string_value);
    if (is_json) out.push_back('"');
    out.text(text, is_json);
    out.append(mark);
    if (is_json) out.push_back('"');
    out.close(inner);
    out.close(value);
    if (is_json) out.text_field(otlp::key, key);
    return out.close(whole);
}
// Any other JSON.
template <class Write>
bool append_json_field(field_writer& out, unsigned field, std::string_view key, const Write& write) {
    const std::size_t whole = out.open(field);
    const std::size_t value = out.open(otlp::value);
    const std::size_t text = out.open(otlp::string_value);
    return write() && out.close(text) && out.close(value) && out.text_field(otlp::key, key) && out.close(whole);
}

// Appends an attribute of any recordable type, with the types of `append_attribute` in spans/span_writer.hpp.
template <class T>
bool append_value(field_writer& out, unsigned field, std::string_view key, const T& value) {
    if constexpr (kind<T> == value_kind::content) {
        return detail::with_content(value,
                                    [&](const auto& content) { return append_value(out, field, key, content); });
    } else if constexpr (std::is_same_v<T, bool>) {
        return append_integer(out, field, key, otlp::bool_value, value ? 1 : 0);
    } else if constexpr (kind<T> == value_kind::text) {
        static_assert(
            MLFLOW_TRACE_HOSTED || std::is_convertible_v<const T&, std::string_view>,
            "the text of this value is made in memory that static_memory_platform does not have: record it as a "
            "std::string_view or a number");
        if (detail::is_null(value)) return append_text(out, field, key, {});
        return detail::with_text(value, [&](std::string_view text) { return append_text(out, field, key, text); });
    } else if constexpr (kind<T> == value_kind::number && std::is_floating_point_v<T>) {
        return append_double(out, field, key, static_cast<double>(value));
    } else if constexpr (kind<T> == value_kind::number && std::is_integral_v<T>) {
        if constexpr (!std::is_signed_v<T> && sizeof(T) == 8)
            if (value > static_cast<T>(std::numeric_limits<std::int64_t>::max())) // OTLP has no unsigned integer
                return append_json_field(out, field, key, [&] { return append_json_uint(out, value); });
        return append_integer(out, field, key, otlp::int_value,
                              static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));
    } else {
        return append_json_field(out, field, key, [&] { return mlflow::trace::append_json(out, value); });
    }
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
