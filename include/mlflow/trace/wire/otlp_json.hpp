// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/text/base64.hpp>
#include <mlflow/trace/text/hex.hpp>
#include <mlflow/trace/text/json_number.hpp>
#include <mlflow/trace/text/json_writer.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// How OTLP/JSON represents a field: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
enum class otlp_kind : std::uint8_t {
    text,
    id,
    bytes,
    boolean,
    enumeration,
    uint32,
    fixed32,
    int64,
    fixed64,
    number,
    message,
    any_value
};

struct otlp_field {
    std::uint32_t number;
    std::string_view name;
    otlp_kind kind;
    bool repeated = false;
    std::span<const otlp_field> message{};

    [[nodiscard]] constexpr wire_type type() const noexcept {
        switch (kind) {
        case otlp_kind::boolean:
        case otlp_kind::enumeration:
        case otlp_kind::uint32:
        case otlp_kind::int64: return wire_type::varint;
        case otlp_kind::fixed32: return wire_type::fixed32;
        case otlp_kind::fixed64:
        case otlp_kind::number: return wire_type::fixed64;
        default: return wire_type::length_delimited;
        }
    }
};

// The messages of opentelemetry-proto, with the fields in the order in which the OpenTelemetry Collector writes them.
namespace otlp_schema {
using enum otlp_kind;
inline constexpr otlp_field key_value[]{{1, "key", text}, {2, "value", any_value}};
inline constexpr otlp_field array_value[]{{1, "values", any_value, true}};
inline constexpr otlp_field key_value_list[]{{1, "values", message, true, key_value}};
inline constexpr otlp_field value[]{{1, "stringValue", text},
                                    {2, "boolValue", boolean},
                                    {3, "intValue", int64},
                                    {4, "doubleValue", number},
                                    {5, "arrayValue", message, false, array_value},
                                    {6, "kvlistValue", message, false, key_value_list},
                                    {7, "bytesValue", bytes}};
inline constexpr otlp_field entity_ref[]{
    {1, "schemaUrl", text}, {2, "type", text}, {3, "idKeys", text, true}, {4, "descriptionKeys", text, true}};
inline constexpr otlp_field resource[]{{1, "attributes", message, true, key_value},
                                       {2, "droppedAttributesCount", uint32},
                                       {3, "entityRefs", message, true, entity_ref}};
inline constexpr otlp_field scope[]{{1, "name", text},
                                    {2, "version", text},
                                    {3, "attributes", message, true, key_value},
                                    {4, "droppedAttributesCount", uint32}};
inline constexpr otlp_field event[]{{1, "timeUnixNano", fixed64},
                                    {2, "name", text},
                                    {3, "attributes", message, true, key_value},
                                    {4, "droppedAttributesCount", uint32}};
inline constexpr otlp_field link[]{{1, "traceId", id},
                                   {2, "spanId", id},
                                   {3, "traceState", text},
                                   {4, "attributes", message, true, key_value},
                                   {5, "droppedAttributesCount", uint32},
                                   {6, "flags", fixed32}};
inline constexpr otlp_field status[]{{2, "message", text}, {3, "code", enumeration}};
inline constexpr otlp_field span[]{{1, "traceId", id},
                                   {2, "spanId", id},
                                   {3, "traceState", text},
                                   {4, "parentSpanId", id},
                                   {16, "flags", fixed32},
                                   {5, "name", text},
                                   {6, "kind", enumeration},
                                   {7, "startTimeUnixNano", fixed64},
                                   {8, "endTimeUnixNano", fixed64},
                                   {9, "attributes", message, true, key_value},
                                   {10, "droppedAttributesCount", uint32},
                                   {11, "events", message, true, event},
                                   {12, "droppedEventsCount", uint32},
                                   {13, "links", message, true, link},
                                   {14, "droppedLinksCount", uint32},
                                   {15, "status", message, false, status}};
inline constexpr otlp_field scope_spans[]{
    {1, "scope", message, false, scope}, {2, "spans", message, true, span}, {3, "schemaUrl", text}};
inline constexpr otlp_field resource_spans[]{
    {1, "resource", message, false, resource}, {2, "scopeSpans", message, true, scope_spans}, {3, "schemaUrl", text}};
inline constexpr otlp_field request[]{{1, "resourceSpans", message, true, resource_spans}};
} // namespace otlp_schema

template <class Buffer>
class otlp_json_writer {
public:
    explicit otlp_json_writer(Buffer& out) noexcept : out_(out) {}

    bool message(std::span<const otlp_field> fields, std::string_view bytes, std::size_t depth = 0) noexcept {
        std::array<content, most_fields> last{}; // the last occurrence of each field, which takes effect
        protobuf_reader at(bytes);
        while (at.next())
            for (std::size_t i = 0; i < fields.size(); ++i)
                if (is(at, fields[i])) last[i] = {at.bytes(), at.number(), true};
        if (at.failed() || !append_bytes(out_, "{")) return false;
        bool first = true;
        for (std::size_t i = 0; i < fields.size(); ++i)
            if (!(fields[i].repeated ? !last[i].is_given || list(fields[i], bytes, depth, first)
                                     : single(fields[i], last[i], depth, first)))
                return false;
        return append_bytes(out_, "}");
    }

private:
    // One occurrence of a field.
    struct content {
        std::string_view bytes{};
        std::uint64_t number = 0;
        bool is_given = false;
    };

    static constexpr std::size_t most_fields = std::size(otlp_schema::span);
    static constexpr std::size_t max_depth = 64; // of nested AnyValues

    // A field of another type than in the schema is unknown, as for every protobuf parser.
    static bool is(const protobuf_reader& at, const otlp_field& field) noexcept {
        return at.field() == field.number && at.type() == field.type();
    }

    bool name(const otlp_field& field, bool& first) noexcept {
        if (!first && !append_bytes(out_, ",")) return false;
        first = false;
        return append_bytes(out_, "\"") && append_bytes(out_, field.name) && append_bytes(out_, "\":");
    }

    bool list(const otlp_field& field, std::string_view bytes, std::size_t depth, bool& first) noexcept {
        if (!name(field, first) || !append_bytes(out_, "[")) return false;
        bool is_next = false;
        for (protobuf_reader at(bytes); at.next();) {
            if (!is(at, field)) continue;
            if (std::exchange(is_next, true) && !append_bytes(out_, ",")) return false;
            if (!value(field, {at.bytes(), at.number(), true}, depth)) return false;
        }
        return append_bytes(out_, "]");
    }

    // Writes a message always, and any other field unless it has the default value, as the Collector does.
    bool single(const otlp_field& field, const content& last, std::size_t depth, bool& first) noexcept {
        const bool nested = field.kind == otlp_kind::message || field.kind == otlp_kind::any_value;
        if (!nested && last.number == 0 &&
            (last.bytes.empty() || (field.kind == otlp_kind::id && is_zero(last.bytes))))
            return true;
        return name(field, first) && value(field, last, depth);
    }

    bool any_value(std::string_view bytes, std::size_t depth) noexcept {
        if (depth == max_depth) return false;
        const otlp_field* chosen = nullptr;
        content last;
        protobuf_reader at(bytes);
        while (at.next()) {
            for (const otlp_field& field : otlp_schema::value) {
                if (!is(at, field)) continue;
                chosen = &field;
                last = {at.bytes(), at.number(), true};
            }
        }
        if (at.failed()) return false;
        bool first = true;
        return append_bytes(out_, "{") && (!chosen || (name(*chosen, first) && value(*chosen, last, depth + 1))) &&
               append_bytes(out_, "}");
    }

    bool value(const otlp_field& field, const content& it, std::size_t depth) noexcept {
        switch (field.kind) {
        case otlp_kind::text: return append_json_string(out_, it.bytes);
        case otlp_kind::id: return quoted([&] { return append_hex(out_, it.bytes); });
        case otlp_kind::bytes: return quoted([&] { return append_base64(out_, it.bytes); });
        case otlp_kind::boolean: return append_json_bool(out_, it.number != 0);
        case otlp_kind::enumeration: return append_json_int(out_, static_cast<std::int32_t>(it.number));
        case otlp_kind::uint32:
        case otlp_kind::fixed32: return append_json_uint(out_, static_cast<std::uint32_t>(it.number));
        case otlp_kind::int64:
            return quoted([&] { return append_json_int(out_, static_cast<std::int64_t>(it.number)); });
        case otlp_kind::fixed64: return quoted([&] { return append_json_uint(out_, it.number); });
        case otlp_kind::number: return number(std::bit_cast<double>(it.number));
        case otlp_kind::message: return message(field.message, it.bytes, depth);
        case otlp_kind::any_value: return any_value(it.bytes, depth);
        }
        return false;
    }

    bool number(double value) noexcept {
        if (value != value) return append_bytes(out_, "\"NaN\"");
        if (!is_finite(value)) return append_bytes(out_, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
        return append_json_double(out_, value);
    }

    template <class Write>
    bool quoted(Write write) noexcept {
        return append_bytes(out_, "\"") && write() && append_bytes(out_, "\"");
    }

    static bool is_zero(std::string_view bytes) noexcept {
        for (const char byte : bytes)
            if (byte != '\0') return false;
        return true;
    }

    Buffer& out_;
};

// Appends the OTLP/JSON of an ExportTraceServiceRequest in protobuf, on one line without a newline at its end.
// Returns false, and writes nothing, if the bytes are malformed or nested too deeply, or the buffer is full.
template <class Buffer>
bool append_otlp_json(Buffer& out, std::string_view export_trace_service_request) noexcept {
    const std::size_t size = out.size();
    if (otlp_json_writer<Buffer>(out).message(otlp_schema::request, export_trace_service_request)) return true;
    out.truncate(size);
    return false;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
