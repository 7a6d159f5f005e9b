// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/spool/checksum.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/protobuf.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// A segment is a sequence of records. A record, in little-endian byte order:
//
//     8 bytes  the marker of the segment: a random number, also part of the file name
//     4 bytes  length of the content
//     4 bytes  CRC-32C of the length and the content
//     …        the content: one `trace_data` as the protobuf message below
//
//     message Trace { fixed64 id_high = 1; fixed64 id_low = 2;
//                     fixed64 start_unix_nano = 3; fixed64 duration_nano = 4;
//                     repeated Entry entries = 5; repeated Span spans = 6; }
//     message Entry { uint64 kind = 1; string key = 2; string value = 3; }
//     message Span  { fixed64 id = 1; uint64 flags = 2; uint64 status = 3; bytes otlp_span = 4; }
//
// Recorded text cannot imitate a record, because it does not contain the random marker. After a damaged record,
// reading continues at the next marker.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail::spool_format {

inline constexpr std::size_t header_size = 16;

enum trace_field : unsigned { id_high = 1, id_low, start_unix_nano, duration_nano, entries, spans };
enum entry_field : unsigned { kind = 1, key, value };
enum span_field : unsigned { id = 1, flags, span_status, otlp_span };
enum span_flag : unsigned { is_trace_root = 1, is_root = 2, has_parent = 4, needs_rewrite = 8, lost_something = 16 };

inline void write_little_endian(char* to, std::uint32_t number) noexcept {
    for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<char>(number >> (8 * i) & 255U);
}

inline bool append_varint_field(buffer& out, unsigned field, std::uint64_t number) noexcept {
    return out.push_back(short_tag(field, wire_type::varint)) && append_varint(out, number);
}

inline bool append_bytes_field(buffer& out, unsigned field, std::string_view bytes) noexcept {
    return out.push_back(short_tag(field, wire_type::length_delimited)) && append_varint(out, bytes.size()) &&
           out.append(bytes);
}

inline bool append_entry(buffer& out, const trace_entry& entry) noexcept {
    if (!out.push_back(short_tag(entries, wire_type::length_delimited))) return false;
    late_length length(out);
    return append_varint_field(out, kind, static_cast<unsigned>(entry.kind)) &&
           append_bytes_field(out, key, entry.key) && append_bytes_field(out, value, entry.value) && length.close();
}

inline unsigned flags_of(const span_data& span, bool is_the_root) noexcept {
    return (is_the_root ? is_trace_root : 0U) | (span.is_root ? is_root : 0U) | (span.has_parent ? has_parent : 0U) |
           (span.needs_rewrite ? needs_rewrite : 0U) | (span.lost_something ? lost_something : 0U);
}

inline bool append_span(buffer& out, const span_data& span, bool is_the_root) noexcept {
    if (!out.push_back(short_tag(spans, wire_type::length_delimited))) return false;
    late_length length(out);
    return append_fixed64_field(out, id, span.id.value) &&
           append_varint_field(out, flags, flags_of(span, is_the_root)) &&
           append_varint_field(out, span_status, static_cast<unsigned>(span.code)) &&
           append_bytes_field(out, otlp_span, span.body.view()) && length.close();
}

inline bool append_trace(buffer& out, const trace_data& trace) noexcept {
    if (!append_fixed64_field(out, id_high, trace.id.high) || !append_fixed64_field(out, id_low, trace.id.low) ||
        !append_fixed64_field(out, start_unix_nano, trace.start_unix_nano) ||
        !append_fixed64_field(out, duration_nano, trace.duration_nano))
        return false;
    for (const trace_entry entry : trace.entries)
        if (!append_entry(out, entry)) return false;
    for (const span_data* span = trace.spans; span; span = span->next)
        if (!append_span(out, *span, span == trace.root)) return false;
    return true;
}

// Appends a record whose content is written by `append_content`. If that fails, returns false and appends nothing.
template <class Append>
bool append_record_of(buffer& out, std::uint64_t marker, const Append& append_content) noexcept {
    const std::size_t begin = out.size();
    if (out.ensure(header_size)) {
        out.commit(header_size);
        const std::size_t content = out.size();
        if (append_content() && out.size() - content <= 0xffff'ffffU) {
            const auto length = static_cast<std::uint32_t>(out.size() - content);
            char* const header = out.data() + begin;
            write_fixed64(header, marker);
            write_little_endian(header + 8, length);
            write_little_endian(header + 12, crc32c({header + header_size, length}, crc32c({header + 8, 4})));
            return true;
        }
    }
    out.truncate(begin);
    return false;
}

// Returns false, and appends nothing, if memory runs out or a span is larger than 256 MiB.
inline bool append_record(buffer& out, std::uint64_t marker, const trace_data& trace) noexcept {
    return append_record_of(out, marker, [&] { return append_trace(out, trace); });
}

enum class reading { done, foreign, out_of_memory }; // foreign: written by another version of the library

inline reading stored_if(bool stored) noexcept { return stored ? reading::done : reading::out_of_memory; }

inline reading read_entry(std::string_view message, trace_entries& into) noexcept {
    std::uint64_t kind_number = 0;
    std::string_view key_text;
    std::string_view value_text;
    protobuf_reader at(message);
    while (at.next()) {
        if (at.field() == kind) kind_number = at.number();
        else if (at.field() == key) key_text = at.bytes();
        else if (at.field() == value) value_text = at.bytes();
    }
    if (at.failed() || kind_number > static_cast<unsigned>(entry_kind::tracestate) ||
        key_text.size() > trace_entries::longest || value_text.size() > trace_entries::longest)
        return reading::foreign;
    return stored_if(into.set(static_cast<entry_kind>(kind_number), key_text, value_text));
}

inline reading read_span(std::string_view message, span_data& into, bool& is_the_root) noexcept {
    std::uint64_t flag_bits = 0;
    std::string_view body;
    into.id = {};
    into.code = status::unset;
    into.has_own_level = false;
    into.trace = nullptr;
    into.body.rules = nullptr;
    protobuf_reader at(message);
    while (at.next()) {
        switch (at.field()) {
        case id: into.id.value = at.number(); break;
        case flags: flag_bits = at.number(); break;
        case span_status: into.code = static_cast<status>(at.number()); break;
        case otlp_span: body = at.bytes(); break;
        default: break;
        }
    }
    is_the_root = (flag_bits & is_trace_root) != 0;
    into.is_root = (flag_bits & is_root) != 0;
    into.has_parent = (flag_bits & has_parent) != 0;
    into.needs_rewrite = (flag_bits & needs_rewrite) != 0;
    into.lost_something = (flag_bits & lost_something) != 0;
    return at.failed() || !body.data() ? reading::foreign : stored_if(into.body.append(body));
}

inline reading read_trace(std::string_view content, trace_data& into) noexcept {
    into.id = {};
    into.start_unix_nano = into.duration_nano = 0;
    into.check_identity = false;
    span_data** last = &into.spans;
    auto so_far = reading::done;
    protobuf_reader at(content);
    while (so_far == reading::done && at.next()) {
        switch (at.field()) {
        case id_high: into.id.high = at.number(); break;
        case id_low: into.id.low = at.number(); break;
        case start_unix_nano: into.start_unix_nano = at.number(); break;
        case duration_nano: into.duration_nano = at.number(); break;
        case entries: so_far = read_entry(at.bytes(), into.entries); break;
        case spans: {
            span_data* const span = pool<span_data>::instance().take();
            if (!span) return reading::out_of_memory;
            *last = span;
            last = &span->next;
            bool is_the_root = false;
            so_far = read_span(at.bytes(), *span, is_the_root);
            if (is_the_root) into.root = span;
            ++into.span_count;
            into.bytes += span->body.size();
            into.capacity += span->body.capacity();
            break;
        }
        default: break;
        }
    }
    if (so_far != reading::done) return so_far;
    return !at.failed() && into.id.valid() && into.span_count > 0 ? reading::done : reading::foreign;
}

// Decodes the content of a record. The caller puts the trace into a `trace_batch`. On failure, returns null and sets
// `how`.
inline trace_data* decode_record(std::string_view content, reading& how) noexcept {
    trace_data* const trace = pool<trace_data>::instance().take();
    how = trace ? read_trace(content, *trace) : reading::out_of_memory;
    if (how == reading::done || !trace) return trace;
    pool<trace_data>::instance().give(trace);
    return nullptr;
}
inline trace_data* decode_record(std::string_view content) noexcept {
    reading how{};
    return decode_record(content, how);
}

inline std::size_t span_count(std::string_view content) noexcept {
    std::size_t count = 0;
    for (protobuf_reader at(content); at.next();) count += at.field() == spans ? 1U : 0U;
    return count;
}

} // namespace detail::spool_format
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
