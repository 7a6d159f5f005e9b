// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/span_data.hpp>
#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/values/json_value.hpp>
#include <mlflow/trace/wire/encoded_key.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>

#include <bit>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

template <class Buffer, class T>
bool append_attribute(Buffer& out, unsigned field, std::string_view key, const T& value, bool& json_like);

// The redactor receives the number as text. On a freestanding target a floating-point number has no text, because the
// conversion takes 135 KB of code.
template <class Buffer, class T>
bool append_redacted_number(Buffer& out, unsigned field, std::string_view key, T value, bool& json_like) {
    buffer digits;
    if constexpr (MLFLOW_TRACE_HOSTED || !std::is_floating_point_v<T>)
        if (!append_json_number(digits, value)) return false;
    redaction answer = out.rules->ask(key, digits.view());
    const without_rules as_it_is(out);
    return answer.is_kept() ? append_attribute(out, field, key, value, json_like)
                            : append_attribute(out, field, key, std::move(answer).text(), json_like);
}

// Appends an attribute of any recordable type. Text, bool, integers and floating point keep their OTLP type; any
// other value is JSON text. `json_like` is set for text that could be read as JSON, and for structured values.
template <class Buffer, class T>
bool append_attribute(Buffer& out, unsigned field, std::string_view key, const T& value, bool& json_like) {
    constexpr bool is_number = kind<T> == value_kind::number && !std::is_same_v<T, std::nullptr_t>;
    if constexpr (is_number)
        if (out.rules && out.rules->redact) return append_redacted_number(out, field, key, value, json_like);
    if constexpr (!is_number && kind<T> == value_kind::content) {
        return detail::with_content(
            value, [&](const auto& content) { return append_attribute(out, field, key, content, json_like); });
    } else if constexpr (std::is_same_v<T, bool>) {
        const char encoded[] = {short_tag(otlp::bool_value, wire_type::varint), value ? '\1' : '\0'};
        return append_encoded_attribute(out, field, key, {encoded, sizeof encoded});
    } else if constexpr (is_number && std::is_integral_v<T>) {
        if constexpr (!std::is_signed_v<T> && sizeof(T) == 8)
            if (value >
                static_cast<T>(std::numeric_limits<std::int64_t>::max())) // OTLP has no unsigned integer; it is text
                return append_json_attribute(out, field, key, [&] { return append_json_uint(out, value); });
        char encoded[1 + max_varint_size] = {short_tag(otlp::int_value, wire_type::varint)};
        const char* const end =
            write_varint(encoded + 1, static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));
        return append_encoded_attribute(out, field, key, {encoded, static_cast<std::size_t>(end - encoded)});
    } else if constexpr (is_number) {
        char encoded[9] = {short_tag(otlp::double_value, wire_type::fixed64)};
        write_fixed64(encoded + 1, std::bit_cast<std::uint64_t>(static_cast<double>(value)));
        return append_encoded_attribute(out, field, key, {encoded, sizeof encoded});
    } else if constexpr (kind<T> == value_kind::text) {
        if (detail::is_null(value)) return append_attribute(out, field, key, std::string_view(), json_like);
        return detail::with_text(value, [&](std::string_view text) {
            const ruled_text recorded(out.rules, key, text);
            json_like = json_like || may_be_json(recorded.view());
            return append_text_attribute(out, field, key, recorded.view());
        });
    } else {
        json_like = true;
        const key_scope named(out, key);
        return append_json_attribute(out, field, key, [&] { return mlflow::trace::append_json(out, value); });
    }
}

// Types whose values `append_short_attribute` writes.
template <class T>
inline constexpr bool is_encoded_directly =
    kind<T> == value_kind::text || (kind<T> == value_kind::number && !std::is_same_v<T, std::nullptr_t> &&
                                    !(std::is_unsigned_v<T> && sizeof(T) == 8 && !std::is_same_v<T, bool>));

// Writes a number, or a short ASCII text. Returns false, and writes nothing, for any other text, for another key, or
// without memory.
template <class Buffer, class Key, class T>
bool append_short_attribute(Buffer& out, Key&& key, const T& value, bool& json_like) noexcept {
    if constexpr (kind<T> == value_kind::text) {
        if (detail::is_null(value)) return false;
        return detail::with_text(value, [&](std::string_view text) {
            if (key.size() > longest_encoded_key || text.size() + key.size() > 120) return false;
            char* const begin = out.ensure(longest_short_attribute);
            char* const end = begin ? write_short_attribute(key, begin, text) : nullptr;
            if (!end) return false;
            json_like = json_like || may_be_json(text);
            out.commit(static_cast<std::size_t>(end - begin));
            return true;
        });
    } else {
        using stored = std::conditional_t<std::is_same_v<T, bool>, bool,
                                          std::conditional_t<std::is_integral_v<T>, std::int64_t, double>>;
        if (key.size() > longest_encoded_key) return false;
        char* const begin = out.ensure(longest_short_attribute);
        char* const end = begin ? write_short_attribute(key, begin, static_cast<stored>(value)) : nullptr;
        if (!end) return false;
        out.commit(static_cast<std::size_t>(end - begin));
        return true;
    }
}

// The first two fields of a Span and of a Link.
inline constexpr std::size_t ids_size = 18 + 10;
inline char* write_ids(char* to, const trace_id& trace, span_id span) noexcept {
    to[0] = short_tag(otlp::trace_id, wire_type::length_delimited);
    to[1] = 16;
    write_big_endian(to + 2, trace.high);
    write_big_endian(to + 10, trace.low);
    to[18] = short_tag(otlp::span_id, wire_type::length_delimited);
    to[19] = 8;
    write_big_endian(to + 20, span.value);
    return to + ids_size;
}
template <class Buffer>
bool append_ids(Buffer& out, const trace_id& trace, span_id span) noexcept {
    char* const to = out.ensure(ids_size);
    if (!to) return false;
    write_ids(to, trace, span);
    out.commit(ids_size);
    return true;
}
inline char* write_parent_id(char* to, span_id parent) noexcept {
    if (!parent.valid()) return to;
    to[0] = short_tag(otlp::parent_span_id, wire_type::length_delimited);
    to[1] = 8;
    write_big_endian(to + 2, parent.value);
    return to + 10;
}

// The fields of a Span that are known when it starts.
template <class Buffer>
bool append_span_start(Buffer& out, const trace_id& trace, span_id id, span_id parent, std::string_view name,
                       std::uint64_t start_nano) noexcept {
    constexpr std::size_t fixed = ids_size + 10 + 2 + fixed64_field_size;
    char* const begin = out.ensure(fixed + 2 + name.size());
    if (!begin) return false;
    char* to = write_parent_id(write_ids(begin, trace, id), parent);
    *to++ = short_tag(otlp::kind, wire_type::varint);
    *to++ = otlp::span_kind_internal;
    to = write_fixed64_field(to, otlp::start_time, start_nano);
    to[0] = short_tag(otlp::name, wire_type::length_delimited);
    to[1] = static_cast<char>(name.size());
    const short_copy copy = copy_short(to + 2, name);
    const bool is_short_ascii = name.size() < 0x80 && copy.is_ascii();
    out.commit(static_cast<std::size_t>((is_short_ascii ? copy.end : to) - begin));
    return is_short_ascii || append_text_field(out, otlp::name, name);
}

inline constexpr std::size_t status_size = 4;
inline char* write_status_field(char* to, status code) noexcept {
    to[0] = short_tag(otlp::span_status, wire_type::length_delimited);
    to[1] = 2;
    to[2] = short_tag(otlp::status_code, wire_type::varint);
    to[3] = static_cast<char>(code);
    return to + status_size;
}

// Writes an empty message too, because readers of protobuf unite this status with earlier ones.
template <class Buffer>
bool append_status(Buffer& out, status code, std::string_view message) noexcept {
    if (!out.push_back(short_tag(otlp::span_status, wire_type::length_delimited))) return false;
    late_length length(out);
    if (!append_text_field(out, otlp::status_message, message)) return false;
    return out.push_back(short_tag(otlp::status_code, wire_type::varint)) && out.push_back(static_cast<char>(code)) &&
           length.close();
}

// Calls a writer, which must not run code of the application, on the span's body. A field that did not fit is
// removed, so that the body stays valid. Returns false if a limit was the reason.
template <class Writer>
bool write_whole(span_data& span, Writer&& writer) noexcept {
    const std::size_t before = span.body.size();
    const bool written = guarded([&] { return bool{writer(span.body)}; }, [] { return false; });
    const bool is_within_limit = !span.body.rules || span.body.size() <= span.body.rules->limits.span_bytes;
    if (written && is_within_limit) return true;
    span.body.truncate(before);
    span.lost_something = span.lost_something || !written;
    return !written;
}

// Appends the number of fields that were omitted at a limit, to OTLP's own field and to an attribute that MLflow's
// page shows.
inline bool append_dropped(recording_buffer& out, unsigned field, std::string_view key,
                           std::uint32_t count) noexcept {
    bool ignored = false;
    return count == 0 || (out.push_back(short_tag(field, wire_type::varint)) && append_varint(out, count) &&
                          append_attribute(out, otlp::attributes, key, count, ignored));
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
