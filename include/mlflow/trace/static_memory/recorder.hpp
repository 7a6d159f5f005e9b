// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/span_kinds.hpp>
#include <mlflow/trace/core/trace_entries.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/device/record_sink.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/spans/span_writer.hpp>
#include <mlflow/trace/spool/format.hpp>
#include <mlflow/trace/static_memory/platform.hpp>
#include <mlflow/trace/static_memory/span_fields.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Where a span is in its recorder. The generation tells the traces apart that were there one after the other.
struct span_place {
    static constexpr std::uint8_t none = 0xff;
    static constexpr std::uint8_t placeless = 0xfe; // a trace that found no place

    std::uint8_t trace;
    std::uint8_t span;
    std::uint16_t generation;

    friend constexpr bool operator==(span_place, span_place) noexcept = default;
};

struct static_span {
    std::uint64_t id;
    std::uint64_t start; // in Unix nanoseconds
    std::uint64_t end;
    std::uint16_t chunks;
    span_place enclosing; // what was current when the span started
    std::uint8_t parent;  // its own number: none
    std::uint8_t flags;   // spool_format::span_flag
    log_level level;
    status code : 2;
    bool has_own_level : 1;
    bool is_open : 1;
    bool is_removed : 1; // it had no room
    bool is_unmeant : 1; // the root of a trace that started while another one was current, without `nested`
    bool has_status : 1; // its fields end with a status that has this code: a reader may take only the last one
};

// An entry of a trace, as it is kept: the head of a field, and the content of an Entry (spool/format.hpp).
struct stored_entry {
    static constexpr std::size_t kind_at = 4;
    entry_kind kind;
    std::string_view key;
    std::string_view value;

    explicit stored_entry(const char* field) noexcept : kind(static_cast<entry_kind>(field[kind_at])) {
        key = text_behind(field + 6);
        value = text_behind(key.data() + key.size() + 1);
    }

private:
    // The text behind a length of at most two bytes.
    [[gnu::noinline]] static std::string_view text_behind(const char* at) noexcept {
        std::size_t size = static_cast<unsigned char>(*at++);
        if (size >= 0x80) size += (static_cast<std::size_t>(static_cast<unsigned char>(*at++)) - 1) << 7U;
        return {at, size};
    }
};

// The bytes of the attribute of the level, up to its value of one byte.
struct level_prefix {
    static constexpr std::size_t key_size = mlflow_names::span_log_level.size();
    char bytes[7 + key_size]{};

    consteval level_prefix() {
        bytes[0] = short_tag(otlp::attributes, wire_type::length_delimited);
        bytes[1] = static_cast<char>(key_size + 6);
        bytes[2] = short_tag(otlp::key, wire_type::length_delimited);
        bytes[3] = static_cast<char>(key_size);
        for (std::size_t i = 0; i < key_size; ++i) bytes[4 + i] = mlflow_names::span_log_level[i];
        bytes[4 + key_size] = short_tag(otlp::value, wire_type::length_delimited);
        bytes[5 + key_size] = 2;
        bytes[6 + key_size] = short_tag(otlp::int_value, wire_type::varint);
    }
};
inline constexpr level_prefix level_attribute{};

// A trace, while it is recorded. Its fields follow each other in the order in which they were written: the number of
// the span, the length in two bytes, and the encoded field of an OTLP span; or, for the trace as a whole, the content
// of an Entry (spool/format.hpp).
struct static_trace_head {
    static constexpr std::uint8_t entry = 0xff;
    static constexpr std::uint8_t removed = 0xfe;
    static constexpr std::size_t field_head = 3;

    trace_id id;
    std::uint64_t wall_minus_monotonic;
    std::uint16_t used;
    std::uint16_t generation;
    std::uint8_t span_count; // 0: the place is free
    std::uint8_t open_spans;
    std::uint8_t removed_spans; // of `span_count`
    bool is_being_written;
    bool is_hidden; // not recorded; it only hides what is inside it

    // Calls `use(owner, content)` for each field.
    template <class Byte, class Use>
    void for_each_field(Byte* bytes, const Use& use) const noexcept {
        for (Byte* at = bytes; at < bytes + used;) {
            const std::size_t size =
                static_cast<unsigned char>(at[1]) | std::size_t{static_cast<unsigned char>(at[2])} << 8U;
            use(at, std::string_view(at + field_head, size));
            at += field_head + size;
        }
    }

    // Writes the trace as the fields of a Trace (spool/format.hpp).
    void write(record_sink& out, const static_span* spans, const char* bytes) const noexcept {
        namespace spooled = spool_format;
        out.fixed64(spooled::id_high, id.high);
        out.fixed64(spooled::id_low, id.low);
        out.fixed64(spooled::start_unix_nano, spans[0].start);
        out.fixed64(spooled::duration_nano, spans[0].end - spans[0].start);
        write_fields(out, bytes, entry, spooled::entries);
        for (std::uint8_t i = 0; i < span_count; ++i)
            if (!spans[i].is_removed) write_span(out, spans, i, bytes);
    }

private:
    // Writes the fields of an owner, each as a field of that number; 0: as they are.
    [[gnu::noinline]] void write_fields(record_sink& out, const char* bytes, std::uint8_t owner,
                                        unsigned number) const noexcept {
        for_each_field(bytes, [&](const char* from, std::string_view field) {
            if (static_cast<std::uint8_t>(*from) != owner) return;
            if (number != 0) out.begin(number, field.size());
            out.put(field);
        });
    }
    [[gnu::noinline]] std::size_t size_of_fields(const char* bytes, std::uint8_t owner) const noexcept {
        std::size_t size = 0;
        for_each_field(bytes, [&](const char* from, std::string_view field) {
            if (static_cast<std::uint8_t>(*from) == owner) size += field.size();
        });
        return size;
    }
    void write_span(record_sink& out, const static_span* spans, std::uint8_t number,
                    const char* bytes) const noexcept {
        namespace spooled = spool_format;
        const static_span& span = spans[number];
        const bool has_parent = span.parent != number;
        const status code = span.code == status::unset ? status::ok : span.code;
        const char last[] = {static_cast<char>(span.level), short_tag(otlp::span_status, wire_type::length_delimited),
                             2, short_tag(otlp::status_code, wire_type::varint), static_cast<char>(code)};
        const std::size_t last_size = span.has_status ? 1 : sizeof last;
        const std::size_t body = ids_size + (has_parent ? 10U : 0U) + 2 + fixed64_field_size +
                                 size_of_fields(bytes, number) + sizeof level_attribute.bytes + last_size +
                                 fixed64_field_size;

        out.begin(spooled::spans, fixed64_field_size + 2 + 2 + 1 + size_of_length(body) + body);
        out.fixed64(spooled::id, span.id);
        out.number(spooled::flags, span.flags);
        out.number(spooled::span_status, static_cast<unsigned>(code));
        out.begin(spooled::otlp_span, body);
        out.begin(otlp::trace_id, 16);
        put_big_endian(out, id.high);
        put_big_endian(out, id.low);
        put_span_id(out, otlp::span_id, span.id);
        if (has_parent) put_span_id(out, otlp::parent_span_id, spans[span.parent].id);
        out.number(otlp::kind, otlp::span_kind_internal);
        out.fixed64(otlp::start_time, span.start);
        write_fields(out, bytes, number, 0);
        out.put({level_attribute.bytes, sizeof level_attribute.bytes});
        out.put({last, last_size});
        out.fixed64(otlp::end_time, span.end);
    }
    // The bytes of a varint; a body is shorter than 2 MiB.
    static constexpr std::size_t size_of_length(std::size_t length) noexcept {
        return length < 0x80 ? 1 : length < 0x4000 ? 2 : 3;
    }
    [[gnu::noinline]] static void put_span_id(record_sink& out, unsigned field, std::uint64_t value) noexcept {
        out.begin(field, 8);
        put_big_endian(out, value);
    }
    [[gnu::noinline]] static void put_big_endian(record_sink& out, std::uint64_t value) noexcept {
        char bytes[8];
        for (std::size_t i = 0; i < 4; ++i) {
            bytes[3 - i] = static_cast<char>(static_cast<std::uint32_t>(value >> 32U) >> 8U * i);
            bytes[7 - i] = static_cast<char>(static_cast<std::uint32_t>(value) >> 8U * i);
        }
        out.put({bytes, sizeof bytes});
    }
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
