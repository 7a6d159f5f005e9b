// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/span_data.hpp>
#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/values/json_value.hpp>
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

// The redactor reads it as text; on a freestanding target floating point has none, since its digits take 135 KB of
// code.
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

// An attribute of any recordable type. Text, bool, integers and floating point keep their OTLP type, all else is a
// JSON text. `json_like` is set when the value is text that may be taken for JSON, or structured.
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
                static_cast<T>(std::numeric_limits<std::int64_t>::max())) // OTLP has no unsigned integer: text, then
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

// The first two fields of a Span, and of a Link.
template <class Buffer>
bool append_ids(Buffer& out, const trace_id& trace, span_id span) noexcept {
    char* const to = out.ensure(18 + 10);
    if (!to) return false;
    to[0] = short_tag(otlp::trace_id, wire_type::length_delimited);
    to[1] = 16;
    write_big_endian(to + 2, trace.high);
    write_big_endian(to + 10, trace.low);
    to[18] = short_tag(otlp::span_id, wire_type::length_delimited);
    to[19] = 8;
    write_big_endian(to + 20, span.value);
    out.commit(18 + 10);
    return true;
}

template <class Buffer>
bool append_parent_id(Buffer& out, span_id parent) noexcept {
    if (!parent.valid()) return true;
    char* const to = out.ensure(10);
    if (!to) return false;
    to[0] = short_tag(otlp::parent_span_id, wire_type::length_delimited);
    to[1] = 8;
    write_big_endian(to + 2, parent.value);
    out.commit(10);
    return true;
}

// Everything of a Span that is known when it starts.
template <class Buffer>
bool append_span_start(Buffer& out, const trace_id& trace, span_id id, span_id parent, std::string_view name,
                       std::uint64_t start_nano) noexcept {
    return append_ids(out, trace, id) && append_parent_id(out, parent) && append_text_field(out, otlp::name, name) &&
           out.push_back(short_tag(otlp::kind, wire_type::varint)) && out.push_back(otlp::span_kind_internal) &&
           append_fixed64_field(out, otlp::start_time, start_nano);
}

template <class Buffer>
bool append_status(Buffer& out, status code, std::string_view message) noexcept {
    if (message.empty()) {
        const char encoded[] = {short_tag(otlp::span_status, wire_type::length_delimited), 2,
                                short_tag(otlp::status_code, wire_type::varint), static_cast<char>(code)};
        return out.append({encoded, sizeof encoded});
    }
    if (!out.push_back(short_tag(otlp::span_status, wire_type::length_delimited))) return false;
    late_length length(out);
    if (!append_text_field(out, otlp::status_message, message)) return false;
    return out.push_back(short_tag(otlp::status_code, wire_type::varint)) && out.push_back(static_cast<char>(code)) &&
           length.close();
}

// Runs a writer that runs no code of the application on the span's body. A field that did not fit is taken back
// whole: the body stays valid. False when a limit was the reason.
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

// How many were left out at a limit: in OTLP's own field, and where readers of MLflow's page see it.
inline bool append_dropped(recording_buffer& out, unsigned field, std::string_view key,
                           std::uint32_t count) noexcept {
    bool ignored = false;
    return count == 0 || (out.push_back(short_tag(field, wire_type::varint)) && append_varint(out, count) &&
                          append_attribute(out, otlp::attributes, key, count, ignored));
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
