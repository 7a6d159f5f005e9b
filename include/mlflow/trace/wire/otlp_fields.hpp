// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/utf8.hpp>
#include <mlflow/trace/wire/protobuf.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Field numbers of opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
namespace otlp {
enum span_field : unsigned {
    trace_id = 1,
    span_id = 2,
    w3c_trace_state = 3,
    parent_span_id = 4,
    name = 5,
    kind = 6,
    start_time = 7,
    end_time = 8,
    attributes = 9,
    dropped_attributes = 10,
    events = 11,
    dropped_events = 12,
    links = 13,
    span_status = 15
};
enum event_field : unsigned { event_time = 1, event_name = 2, event_attributes = 3 };
enum link_field : unsigned { link_attributes = 4 };
enum key_value_field : unsigned { key = 1, value = 2 };
enum any_value_field : unsigned { string_value = 1, bool_value = 2, int_value = 3, double_value = 4 };
enum status_field : unsigned { status_message = 2, status_code = 3 };
inline constexpr char span_kind_internal = 1;
} // namespace otlp

// Whether Python's json.loads could accept this text. Only the first character other than whitespace is examined; the
// exporter examines the whole text where it matters.
inline bool may_be_json(std::string_view text) noexcept {
    for (const char c : text) {
        switch (c) {
        case ' ':
        case '\t':
        case '\n':
        case '\r': continue;
        case '"':
        case '{':
        case '[':
        case '-':
        case 't':
        case 'f':
        case 'n':
        case 'N':
        case 'I': return true;
        default: return c >= '0' && c <= '9';
        }
    }
    return false;
}

struct short_copy { // is returned in registers
    char* end;
    std::uint64_t bits; // of all bytes

    [[nodiscard]] bool is_ascii() const noexcept { return (bits & 0x8080808080808080U) == 0; }
};

// Copies a short text. Overlapping copies take fewer instructions than a loop over the rest.
inline short_copy copy_short(char* to, std::string_view text) noexcept {
    const std::size_t size = text.size();
    const char* const from = text.data();
    std::uint64_t bits = 0;
    const auto copy = [&]<class Word>(std::size_t at, Word word) {
        std::memcpy(&word, from + at, sizeof word);
        std::memcpy(to + at, &word, sizeof word);
        bits |= word;
    };
    if (size >= 16) {
#if defined(__SSE2__)
        characters16 all{};
        const auto copy16 = [&](std::size_t at) {
            const characters16 some = load16(from + at);
            store16(to + at, some);
            all |= some;
        };
        for (std::size_t at = 0; at < size - 16; at += 16) copy16(at);
        copy16(size - 16);
        bits = mask16(all) != 0 ? ~std::uint64_t{0} : 0;
#else
        for (std::size_t at = 0; at < size - 8; at += 8) copy(at, std::uint64_t{});
        copy(size - 8, std::uint64_t{});
#endif
    } else if (size >= 8) {
        copy(0, std::uint64_t{});
        copy(size - 8, std::uint64_t{});
    } else if (size >= 4) {
        copy(0, std::uint32_t{});
        copy(size - 4, std::uint32_t{});
    } else if (size > 0) {
        copy(0, std::uint8_t{});
        copy(size / 2, std::uint8_t{});
        copy(size - 1, std::uint8_t{});
    }
    return {to + size, bits};
}

// Appends a length-delimited text field. Invalid UTF-8, for which the receiver would reject the whole request,
// becomes U+FFFD.
template <class Buffer>
bool append_text_field(Buffer& out, unsigned field, std::string_view text) noexcept {
    const char tag = short_tag(field, wire_type::length_delimited);
    if (text.size() < 0x80) {
        char* const to = out.ensure(2 + text.size());
        if (!to) return false;
        to[0] = tag;
        to[1] = static_cast<char>(text.size());
        if (copy_short(to + 2, text).is_ascii()) {
            out.commit(2 + text.size());
            return true;
        }
    }
    if (is_valid_utf8(text)) {
        char* to = out.ensure(1 + max_varint_size + text.size());
        if (!to) return false;
        char* const begin = to;
        *to++ = tag;
        to = write_bytes(write_varint(to, text.size()), text);
        out.commit(static_cast<std::size_t>(to - begin));
        return true;
    }
    if (!out.push_back(tag)) return false;
    late_length length(out);
    return append_utf8(out, text) && length.close();
}

template <class Buffer, class AppendAnyValue>
bool append_any_value(Buffer& out, AppendAnyValue&& append) {
    if (!out.push_back(short_tag(otlp::value, wire_type::length_delimited))) return false;
    late_length length(out);
    return append() && length.close();
}

// Appends a KeyValue as a field of the enclosing message.
template <class Buffer, class AppendAnyValue>
bool append_key_value(Buffer& out, unsigned field, std::string_view key, AppendAnyValue&& append) {
    if (!out.push_back(short_tag(field, wire_type::length_delimited))) return false;
    late_length length(out);
    return append_text_field(out, otlp::key, key) && append_any_value(out, append) && length.close();
}

// The same for a key of valid UTF-8 and an AnyValue of known size, which `write` writes to the given place.
template <class Buffer, class WriteAnyValue>
bool append_sized_key_value(Buffer& out, unsigned field, std::string_view key, std::size_t any_size,
                            WriteAnyValue&& write) noexcept {
    const std::size_t size = 1 + varint_size(key.size()) + key.size() + 1 + varint_size(any_size) + any_size;
    char* const begin = out.ensure(1 + max_varint_size + size);
    if (!begin) return false;
    char* to = begin;
    *to++ = short_tag(field, wire_type::length_delimited);
    to = write_varint(to, size);
    *to++ = short_tag(otlp::key, wire_type::length_delimited);
    to = write_bytes(write_varint(to, key.size()), key);
    *to++ = short_tag(otlp::value, wire_type::length_delimited);
    to = write(write_varint(to, any_size));
    out.commit(static_cast<std::size_t>(to - begin));
    return true;
}

// Appends a KeyValue with an ASCII key and an AnyValue, both so short that each length takes one byte.
// `write(to)` writes the AnyValue and returns whether it is ASCII. Returns false, and appends nothing, if one of
// these conditions is not met.
template <class Buffer, class WriteAnyValue>
bool append_short_key_value(Buffer& out, unsigned field, std::string_view key, std::size_t any_size,
                            WriteAnyValue&& write) noexcept {
    if (key.size() > 100 || any_size > 100 || key.size() + any_size > 0x7f - 4) return false;
    const std::size_t size = 4 + key.size() + any_size;
    char* to = out.ensure(2 + size);
    if (!to) return false;
    to[0] = short_tag(field, wire_type::length_delimited);
    to[1] = static_cast<char>(size);
    to[2] = short_tag(otlp::key, wire_type::length_delimited);
    to[3] = static_cast<char>(key.size());
    const short_copy copy = copy_short(to + 4, key);
    copy.end[0] = short_tag(otlp::value, wire_type::length_delimited);
    copy.end[1] = static_cast<char>(any_size);
    if (!write(copy.end + 2) || !copy.is_ascii()) return false;
    out.commit(2 + size);
    return true;
}

template <class Buffer>
bool append_text_attribute(Buffer& out, unsigned field, std::string_view key, std::string_view text) noexcept {
    const auto write = [text](char* to) {
        to[0] = short_tag(otlp::string_value, wire_type::length_delimited);
        to[1] = static_cast<char>(text.size());
        return copy_short(to + 2, text).is_ascii();
    };
    if (append_short_key_value(out, field, key, 2 + text.size(), write)) return true;
    if (!is_valid_utf8(key) || !is_valid_utf8(text))
        return append_key_value(out, field, key, [&] { return append_text_field(out, otlp::string_value, text); });
    const std::size_t any_size = 1 + varint_size(text.size()) + text.size();
    return append_sized_key_value(out, field, key, any_size, [text](char* to) {
        *to++ = short_tag(otlp::string_value, wire_type::length_delimited);
        return write_bytes(write_varint(to, text.size()), text);
    });
}

// Appends an AnyValue that is already encoded: a bool or a number.
template <class Buffer>
bool append_encoded_attribute(Buffer& out, unsigned field, std::string_view key,
                              std::string_view any_value) noexcept {
    const auto write_short = [any_value](char* to) {
        copy_short(to, any_value);
        return true;
    };
    if (append_short_key_value(out, field, key, any_value.size(), write_short)) return true;
    if (!is_valid_utf8(key)) return append_key_value(out, field, key, [&] { return out.append(any_value); });
    return append_sized_key_value(out, field, key, any_value.size(),
                                  [any_value](char* to) { return write_bytes(to, any_value); });
}

// Appends JSON text that is to be read as JSON, and is written piece by piece. The value is written before the key,
// which protobuf allows and receivers do not see. By this order `is_meant_as_json` distinguishes it from text that
// only looks like JSON.
template <class Buffer, class AppendText>
bool append_json_attribute(Buffer& out, unsigned field, std::string_view key, AppendText&& append_text) {
    constexpr std::size_t tagged = 1 + wide_varint_size;
    const std::size_t at = out.size();
    char* const head = out.ensure(3 * tagged);
    if (!head) return false;
    head[0] = short_tag(field, wire_type::length_delimited);
    head[tagged] = short_tag(otlp::value, wire_type::length_delimited);
    head[2 * tagged] = short_tag(otlp::string_value, wire_type::length_delimited);
    out.commit(3 * tagged);
    if (!append_text()) return false;
    const std::size_t text_size = out.size() - at - 3 * tagged;
    if (!append_text_field(out, otlp::key, key)) return false;
    const std::size_t size = out.size() - at - tagged;
    if (size >= wide_varint_limit) return false;
    char* const written = out.data() + at;
    write_wide_varint(written + 1, size);
    write_wide_varint(written + tagged + 1, text_size + tagged);
    write_wide_varint(written + 2 * tagged + 1, text_size);
    return true;
}

inline bool is_meant_as_json(std::string_view key_value) noexcept {
    return key_value.starts_with(short_tag(otlp::value, wire_type::length_delimited));
}

inline constexpr std::size_t fixed64_field_size = 9;
inline char* write_fixed64_field(char* to, unsigned field, std::uint64_t value) noexcept {
    *to = short_tag(field, wire_type::fixed64);
    return write_fixed64(to + 1, value);
}
template <class Buffer>
bool append_fixed64_field(Buffer& out, unsigned field, std::uint64_t value) noexcept {
    char* const to = out.ensure(fixed64_field_size);
    if (!to) return false;
    write_fixed64_field(to, field, value);
    out.commit(fixed64_field_size);
    return true;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
