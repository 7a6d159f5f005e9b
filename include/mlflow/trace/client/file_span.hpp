// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/amounts.hpp>
#include <mlflow/trace/client/preview.hpp>
#include <mlflow/trace/client/span_translation.hpp>
#include <mlflow/trace/client/trace_info.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The values of an OTLP JSON span that belong to its trace.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

using text_list = std::vector<std::pair<std::string, std::string>>;

struct file_span {
    std::string trace_id; // bytes, without leading zeros
    std::string id;
    std::string parent;                // empty: a root span
    std::optional<std::int64_t> start; // in milliseconds; empty if invalid
    std::optional<std::int64_t> end;
    bool is_error = false;
    std::optional<std::string> user; // the first one of a line counts, even if it is empty
    std::optional<std::string> session;
    std::string inputs; // the previews
    std::string outputs;
    std::string client_request_id;
    token_amounts usage;
    cost_amounts cost;
    text_list resource;        // as tags
    bool has_resource = false; // true even if none of its attributes becomes a tag
    text_list tags;
    text_list metadata;
    bool has_preview_of_its_own = false; // set by the application

    [[nodiscard]] bool is_root() const noexcept { return parent.empty(); }
};

// An ID in hexadecimal digits, or in base64 as in protobuf's own JSON; nothing if it is neither.
inline std::optional<std::string> read_id(std::string text, std::size_t usual_bytes) {
    if (text.starts_with("0x") || text.starts_with("0X")) text.erase(0, 2);
    const bool is_hex = std::all_of(text.begin(), text.end(), [](char c) { return hex_digit_value(c) >= 0; });
    std::string bytes;
    if (!is_hex) {
        bytes = text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=") ==
                        std::string::npos
                    ? bytes_of_base64(text)
                    : std::string();
        if (bytes.size() != usual_bytes) return std::nullopt;
    } else {
        if (text.size() % 2 != 0) text.insert(text.begin(), '0');
        for (std::size_t at = 0; at < text.size(); at += 2)
            bytes += static_cast<char>(hex_digit_value(text[at]) << 4 | hex_digit_value(text[at + 1]));
    }
    if (text.empty()) return std::nullopt;
    bytes.erase(0, std::min(bytes.find_first_not_of('\0'), bytes.size()));
    return bytes;
}

inline std::optional<std::string> read_id(json_value told, std::size_t usual_bytes) {
    return read_id(told.text(), usual_bytes);
}

inline std::string shown_trace_id(std::string_view bytes) {
    std::string shown = "tr-";
    if (bytes.size() < 16) shown.append(2 * (16 - bytes.size()), '0');
    for (const char c : bytes) append_hex_digits(shown, static_cast<unsigned char>(c), 2);
    return shown;
}

// Nanoseconds as milliseconds. A missing value is 0, the default of OTLP; an invalid one is nothing.
inline std::optional<std::int64_t> read_milliseconds(json_value told) {
    constexpr std::int64_t nano_per_milli = 1'000'000;
    if (told.is(json_value::kind::null)) return 0;
    const auto nano = told.is(json_value::kind::text) ? json_value::integer_in(told.raw()) : told.integer();
    if (!nano || *nano < 0) return std::nullopt;
    return *nano / nano_per_milli;
}

// Tag names that MLflow accepts: those that could be a path.
inline bool is_tag_name(std::string_view name) {
    if (name.empty() || name.starts_with('/') || name.ends_with('/') || name.starts_with("..") ||
        scan_utf8(name).code_points > 250)
        return false;
    const bool all = std::all_of(name.begin(), name.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
               (c >= 'a' && c <= 'z') || std::string_view("/_.- :").find(c) != std::string_view::npos;
    });
    if (!all) return false;
    for (std::size_t at = 0; at <= name.size();) { // parts that would be removed from a path
        const auto end = std::min(name.find('/', at), name.size());
        const std::string_view part = name.substr(at, end - at);
        if (part.empty() || part == "." || part == "..") return false;
        at = end + 1;
    }
    return true;
}

// What the spans of one resource and scope have in common.
struct span_source {
    text_list resource;
    bool has_resource = false;
    bool is_this_library = false;
};

inline text_list read_resource(json_value attributes) {
    text_list tags;
    span_attributes(attributes).for_each("", [&](std::string_view key, const any_value& value) {
        if (key.starts_with("telemetry.sdk.") || key.starts_with("mlflow.") || !is_tag_name(key)) return;
        std::string text;
        if (value.what() == any_kind::text) text = value.text();
        else append_python(text, value, true);
        tags.emplace_back(key, first_code_points(text, 4096));
    });
    return tags;
}

// With `is_bare`, text is not decoded as JSON.
inline std::string identity_text(const any_value& value, bool is_bare) {
    return is_bare && value.what() == any_kind::text ? value.text() : stored_text(value);
}

inline void read_trace_attributes(file_span& read, const span_attributes& attributes, json_value span,
                                  bool is_of_this_library) {
    constexpr std::string_view tag_prefix = mlflow_names::any_tag;
    constexpr std::string_view metadata_prefix = mlflow_names::any_metadata;
    constexpr std::string_view name_tag = mlflow_names::trace_name;
    // This library writes the trace's name and encodes text that MLflow would decode as JSON only if the receiver is
    // MLflow.
    const bool is_bare = is_of_this_library && attributes[mlflow_names::tag_of_trace_name].is_none();
    const auto take = [&](std::optional<std::string>& to, std::string_view key) {
        if (const any_value value = attributes[key]; !to && !value.is_none()) to = identity_text(value, is_bare);
    };
    take(read.user, mlflow_names::user_id);
    take(read.session, mlflow_names::session_id);
    take(read.session, mlflow_names::conversation_id);
    attributes.for_each(metadata_prefix, [&](std::string_view key, const any_value& value) {
        read.metadata.emplace_back(key.substr(metadata_prefix.size()), identity_text(value, is_bare));
    });
    if (const any_value id = attributes[mlflow_names::client_request_id]; !id.is_none())
        read.client_request_id = identity_text(id, is_bare);
    if (!read.is_root()) return;
    attributes.for_each(tag_prefix, [&](std::string_view key, const any_value& value) {
        key.remove_prefix(tag_prefix.size());
        if (is_bare || is_tag_name(key))
            read.tags.emplace_back(key, first_code_points(identity_text(value, is_bare), 4096));
    });
    if (is_bare) read.tags.emplace_back(name_tag, first_code_points(span["name"].text(), 4096));
}

// Returns nothing if the span has no IDs.
inline std::optional<file_span> read_file_span(json_value span, const span_source& from) {
    auto trace_id = read_id(span.any_of("traceId", "trace_id"), 16);
    auto id = read_id(span.any_of("spanId", "span_id"), 8);
    if (!trace_id || !id) return std::nullopt;
    file_span read;
    read.trace_id = std::move(*trace_id);
    read.id = std::move(*id);
    const json_value parent = span.any_of("parentSpanId", "parent_span_id");
    // An invalid parent ID still means that there is a parent.
    if (parent.is(json_value::kind::text) && !parent.raw().empty()) read.parent = read_id(parent, 8).value_or("?");
    read.start = read_milliseconds(span.any_of("startTimeUnixNano", "start_time_unix_nano"));
    read.end = read_milliseconds(span.any_of("endTimeUnixNano", "end_time_unix_nano"));
    const json_value code = span["status"]["code"];
    read.is_error = code.integer() == 2 || code.raw() == "STATUS_CODE_ERROR" || code.raw() == "2";
    read.resource = from.resource;
    read.has_resource = from.has_resource;
    const span_attributes attributes(span["attributes"]);
    const translated_span translated(attributes, span["events"]);
    read.usage = translated.usage();
    read.cost = translated.cost();
    read_trace_attributes(read, attributes, span, from.is_this_library);
    const any_value request = attributes[mlflow_names::request_preview];
    const any_value response = attributes[mlflow_names::response_preview];
    read.has_preview_of_its_own = !request.is_none() || !response.is_none();
    if (!request.is_none()) read.inputs = shortened(request.text());
    else if (read.is_root())
        if (const std::string inputs = translated.inputs(); !inputs.empty()) read.inputs = preview_of(inputs, "user");
    if (!response.is_none()) read.outputs = shortened(response.text());
    else if (read.is_root())
        if (const std::string outputs = translated.outputs(); !outputs.empty())
            read.outputs = preview_of(outputs, "assistant");
    return read;
}

// The list that OTLP calls resourceSpans, also inside the documents that Jaeger's and Tempo's APIs return.
inline json_value otlp_list(json_value document) noexcept {
    for (const json_value in : {document, document["result"], document["trace"]})
        if (const json_value list = in.any_of("resourceSpans", "resource_spans"); list.is(json_value::kind::array))
            return list;
    return document["batches"];
}
inline bool is_otlp(json_value document) noexcept {
    return otlp_list(document).is(json_value::kind::array) ||
           document.any_of("scopeSpans", "scope_spans").is(json_value::kind::array) ||
           document.any_of("instrumentationLibrarySpans", "instrumentation_library_spans")
               .is(json_value::kind::array);
}

// Calls visit(span, source) for each span of an OTLP document. Accepts both spellings of the field names, and the
// fields of older OTLP versions.
template <class Visit>
void for_each_otlp_span(json_value document, Visit visit) {
    const auto read_spans = [&](json_value list, const span_source& from) {
        if (!list.is(json_value::kind::array)) return;
        for (const json_value span : list) visit(span, from);
    };
    const auto read_resource_spans = [&](json_value told) {
        const json_value resource = told["resource"]["attributes"];
        span_source from{read_resource(resource), resource.is(json_value::kind::array) && !resource.empty()};
        const auto read_scopes = [&](json_value list, const char* scope, const char* other) {
            if (!list.is(json_value::kind::array)) return;
            for (const json_value scope_spans : list) {
                from.is_this_library = scope_spans.any_of(scope, other)["name"].text() == "mlflow_trace";
                read_spans(scope_spans["spans"], from);
            }
        };
        read_scopes(told.any_of("scopeSpans", "scope_spans"), "scope", "scope");
        read_scopes(told.any_of("instrumentationLibrarySpans", "instrumentation_library_spans"),
                    "instrumentationLibrary", "instrumentation_library");
    };
    const json_value list = otlp_list(document);
    if (list.is(json_value::kind::array))
        for (const json_value one : list) read_resource_spans(one);
    else read_resource_spans(document);
}

// Calls take(file_span) for each span. Returns the number of invalid spans, which are skipped.
template <class Take>
std::size_t read_otlp(json_value document, Take take) {
    std::size_t passed_over = 0;
    for_each_otlp_span(document, [&](json_value span, const span_source& from) {
        if (auto read = read_file_span(span, from)) take(std::move(*read));
        else ++passed_over;
    });
    return passed_over;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
