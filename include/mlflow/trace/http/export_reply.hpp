// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The media type without its parameters (RFC 9110, 8.3.1), to be compared without case.
inline std::string_view media_type(const http_response& reply) noexcept {
    std::string_view type = reply.header("Content-Type");
    type = type.substr(0, type.find(';'));
    while (!type.empty() && (type.front() == ' ' || type.front() == '\t')) type.remove_prefix(1);
    while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
    return type;
}

inline bool is_protobuf(const http_response& reply) noexcept {
    const auto type = media_type(reply);
    return same_name(type, "application/x-protobuf") || same_name(type, "application/protobuf");
}

// Whether a response is a page in HTML or XML. Receivers of spans do not send one, but a proxy in front of them may.
// The content type decides; for a type other than HTML, JSON and protobuf, or none, the first character decides.
inline bool is_html(const http_response& reply) noexcept {
    const auto type = media_type(reply);
    if (same_name(type, "text/html") || same_name(type, "application/xhtml+xml")) return true;
    if (same_name(type, "application/json") || is_protobuf(reply)) return false;
    std::string_view body = reply.body;
    if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
    const auto first = body.find_first_not_of(" \t\r\n");
    return first != std::string_view::npos && body[first] == '<';
}

// The content of an ExportTraceServiceResponse, or of the response to metrics, which counts data points in place of
// spans.
struct export_reply {
    std::uint64_t rejected_spans = 0;
    std::string message{}; // the reason; a warning if no span was rejected
};

// Field 1 is partial_success, in which field 1 is rejected_spans and field 2 is error_message.
inline std::optional<export_reply> read_protobuf_export_reply(std::string_view body) {
    export_reply told;
    protobuf_reader at(body);
    while (at.next()) {
        if (at.field() != 1 || at.type() != wire_type::length_delimited) return std::nullopt;
        protobuf_reader part(at.bytes());
        while (part.next()) {
            if (part.field() == 1 && part.type() == wire_type::varint) told.rejected_spans = part.number();
            else if (part.field() == 2 && part.type() == wire_type::length_delimited) told.message = part.bytes();
            else if (part.field() <= 2) return std::nullopt;
        }
        if (part.failed()) return std::nullopt;
    }
    if (at.failed() || told.rejected_spans > std::uint64_t{1} << 62U) return std::nullopt; // a negative number
    return told;
}

// Reads a non-negative JSON integer, with or without quotes, as in protobuf's JSON. A null is 0.
inline std::optional<std::uint64_t> json_count(std::string_view value) noexcept {
    if (value == "null") return 0;
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (value.empty() || value.size() > 18) return std::nullopt;
    std::uint64_t count = 0;
    for (const char c : value) {
        if (c < '0' || c > '9') return std::nullopt;
        count = count * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return count;
}

// Calls `visit` with name and text of each member of a JSON object. Returns false if it is not an object, or if
// `visit` returns false.
template <class Visit>
bool each_member(std::string_view object, Visit visit) {
    if (json_find(object, {}).empty()) return false; // malformed
    json_cursor at(object);
    at.whitespace();
    if (!at.take('{')) return false;
    std::string_view name;
    while (at.key(name)) {
        at.whitespace();
        const std::string_view value = at.rest();
        if (at.value(64) != json_cursor::outcome::complete) return false;
        if (!visit(name, value.substr(0, value.size() - at.rest().size()))) return false;
        at.whitespace();
        if (!at.take(',')) break;
    }
    return true;
}

// `is_allowed` returns whether the response may have another member with this name and text.
template <class Allowed>
std::optional<export_reply> read_json_export_reply(std::string_view body, Allowed is_allowed) {
    export_reply told;
    const auto is_one = [](std::string_view name, std::string_view camel, std::string_view snake) {
        return is_json_key(name, camel) || is_json_key(name, snake);
    };
    const auto read_part = [&](std::string_view name, std::string_view value) {
        if (is_one(name, "rejectedSpans", "rejected_spans") ||
            is_one(name, "rejectedDataPoints", "rejected_data_points")) {
            const auto count = json_count(value);
            told.rejected_spans = count.value_or(0);
            return count.has_value();
        }
        if (!is_one(name, "errorMessage", "error_message") || value == "null") return true;
        auto message = json_find_string(value, {});
        if (message) told.message = std::move(*message);
        return message.has_value();
    };
    const bool is_good = each_member(body, [&](std::string_view name, std::string_view value) {
        if (!is_one(name, "partialSuccess", "partial_success")) return is_allowed(name, value);
        return value == "null" || each_member(value, read_part);
    });
    if (!is_good) return std::nullopt;
    return told;
}

// Reads a successful response. Returns nothing if the response does not confirm that the spans were stored. An empty
// body confirms it, as with MLflow. So does an export response of the content type that the response has; without a
// content type, of protobuf or JSON.
inline std::optional<export_reply> read_export_reply(const http_response& reply) {
    if (reply.body.empty()) return export_reply{};
    const auto type = media_type(reply);
    const bool is_untyped = type.empty();
    if (same_name(type, "application/json") || (is_untyped && reply.body.starts_with('{')))
        return read_json_export_reply(reply.body, [](auto, auto) { return false; });
    if (is_untyped || is_protobuf(reply)) return read_protobuf_export_reply(reply.body);
    return std::nullopt;
}

// Reads a JSON object that the receiver defines itself. Returns nothing if the object reports an error.
inline std::optional<export_reply> read_object_reply(const http_response& reply) {
    if (!same_name(media_type(reply), "application/json")) return std::nullopt;
    return read_json_export_reply(reply.body, [](std::string_view name, std::string_view value) {
        if (is_json_key(name, "success") || is_json_key(name, "ok")) return value != "false";
        const bool is_none = value == "null" || value == "false" || value == "0" || value == "\"\"" ||
                             (value.find_first_not_of("[]{} \t\r\n") == std::string_view::npos && value.size() > 1);
        return is_none || (!is_json_key(name, "error") && !is_json_key(name, "errors"));
    });
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
