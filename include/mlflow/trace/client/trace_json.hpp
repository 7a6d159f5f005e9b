// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/client/trace_info.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A span as MLflow stores it. Attribute values are JSON text: `"CHAT_MODEL"`, `{"input_tokens":3}`.
struct stored_span {
    /// What happened at a point in time: an exception has the name `exception` and the attributes `exception.type`,
    /// `exception.message` and `exception.stacktrace`.
    struct event {
        /// Its name.
        std::string name;
        /// When it happened, in nanoseconds since 1970.
        std::int64_t unix_nano = 0;
        text_map attributes; ///< JSON text, as those of the span
    };

    /// The name of the span.
    std::string name;
    std::string id;     ///< 16 hexadecimal digits
    std::string parent; ///< empty for a root span
    /// When it started, in nanoseconds since 1970.
    std::int64_t start_unix_nano = 0;
    /// When it ended, in nanoseconds since 1970.
    std::int64_t end_unix_nano = 0;
    /// How it ended.
    trace_status status = trace_status::unspecified;
    /// Why it failed; may be empty.
    std::string status_message;
    /// Its attributes.
    text_map attributes;
    /// Its events.
    std::vector<event> events{};
};

/// A trace with its spans, as stored on the server.
struct stored_trace {
    /// The trace.
    trace_info info;
    /// Its spans.
    std::vector<stored_span> spans;
};

namespace detail {

inline trace_status status_of(std::string_view text) noexcept {
    if (text == "OK" || text == "STATUS_CODE_OK") return trace_status::ok;
    if (text == "ERROR" || text == "STATUS_CODE_ERROR") return trace_status::error;
    return text == "IN_PROGRESS" ? trace_status::in_progress : trace_status::unspecified;
}

inline text_map texts_of(const json& object, const char* key) {
    text_map texts;
    const json& found = member(object, key);
    if (found.is_object())
        for (const auto& [name, value] : found.items())
            texts.emplace(name, value.is_string() ? value.get_ref<const std::string&>() : dump(value));
    return texts;
}

// Formats an error: `JUDGE_FAILED: the model did not answer`.
inline std::string error_of(const json& told) {
    const std::string code = text_of(told, "error_code");
    const std::string message = text_of(told, "error_message");
    if (told.is_string()) return told.get<std::string>();
    if (told.is_object() && code.empty() && message.empty()) return "failed";
    return code.empty() || message.empty() ? code + message : code + ": " + message;
}

inline assessment read_assessment(const json& told) {
    assessment read;
    read.id = text_of(told, "assessment_id");
    read.trace_id = text_of(told, "trace_id");
    read.span_id = text_of(told, "span_id");
    read.name = text_of(told, "assessment_name");
    read.rationale = text_of(told, "rationale");
    read.overrides = text_of(told, "overrides");
    read.source.type = text_of(member(told, "source"), "source_type");
    read.source.id = text_of(member(told, "source"), "source_id");
    read.metadata = texts_of(told, "metadata");
    read.valid = !member(told, "valid").is_boolean() || member(told, "valid").get<bool>();
    for (const auto& [name, what] : {std::pair{"feedback", assessment::kind::feedback},
                                     std::pair{"expectation", assessment::kind::expectation}}) {
        const json& value = member(told, name);
        if (!value.is_object()) continue;
        read.what = what;
        // An expectation that is a list or object is stored as JSON text.
        const std::string serialized = text_of(member(value, "serialized_value"), "value");
        if (!serialized.empty()) read.value = serialized;
        else if (!member(value, "value").is_null()) read.value = dump(value["value"]);
        read.error = error_of(member(value, "error"));
    }
    return read;
}

inline std::optional<trace_info> read_trace_info(const json& told) {
    trace_info read;
    read.trace_id = text_of(told, "trace_id");
    const auto time = parse_time(text_of(told, "request_time"));
    if (read.trace_id.empty() || !time) return std::nullopt;
    read.request_time = *time;
    read.has_duration = false;
    if (told.contains("execution_duration")) {
        const auto duration = parse_duration(text_of(told, "execution_duration"));
        if (!duration) return std::nullopt;
        // For a trace without an end, MLflow's duration is the negated start time.
        read.has_duration = duration->count() >= 0;
        if (read.has_duration) read.execution_duration = *duration;
    }
    read.client_request_id = text_of(told, "client_request_id");
    read.experiment_id = text_of(member(member(told, "trace_location"), "mlflow_experiment"), "experiment_id");
    read.status = status_of(text_of(told, "state"));
    read.request_preview = text_of(told, "request_preview");
    read.response_preview = text_of(told, "response_preview");
    read.metadata = texts_of(told, "trace_metadata");
    read.tags = texts_of(told, "tags");
    if (const json& assessments = member(told, "assessments"); assessments.is_array())
        for (const json& one : assessments) read.assessments.push_back(read_assessment(one));
    return read;
}

// OTLP's AnyValue, with either spelling of its field names.
inline json read_any_value(const json& any) {
    if (!any.is_object()) return nullptr;
    for (const auto& [name, value] : any.items()) {
        if (name == "int_value" || name == "intValue") return integer_of(any, name.c_str());
        if (name == "array_value" || name == "arrayValue") {
            json list = json::array();
            if (const json& values = member(value, "values"); values.is_array())
                for (const json& one : values) list.push_back(read_any_value(one));
            return list;
        }
        if (name == "kvlist_value" || name == "kvlistValue") {
            json object = json::object();
            if (const json& values = member(value, "values"); values.is_array())
                for (const json& one : values) object[text_of(one, "key")] = read_any_value(member(one, "value"));
            return object;
        }
        return value;
    }
    return nullptr;
}

// Protobuf's JSON form of bytes, as hexadecimal digits.
inline std::string hex_of_base64(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string hex;
    unsigned bits = 0;
    unsigned held = 0;
    for (const char c : text) {
        const auto digit = digits.find(c);
        if (digit == std::string_view::npos) break;
        bits = bits << 6U | static_cast<unsigned>(digit);
        for (held += 6; held >= 8; held -= 8) {
            const unsigned byte = bits >> (held - 8) & 255U;
            hex += {"0123456789abcdef"[byte >> 4U], "0123456789abcdef"[byte & 15U]};
        }
    }
    return hex;
}

inline text_map read_attributes(const json& told) {
    text_map read;
    if (const json& attributes = member(told, "attributes"); attributes.is_array())
        for (const json& one : attributes) read[text_of(one, "key")] = dump(read_any_value(member(one, "value")));
    return read;
}

inline stored_span read_span(const json& told) {
    stored_span read;
    read.name = text_of(told, "name");
    read.id = hex_of_base64(text_of(told, "span_id"));
    read.parent = hex_of_base64(text_of(told, "parent_span_id"));
    read.start_unix_nano = integer_of(told, "start_time_unix_nano");
    read.end_unix_nano = integer_of(told, "end_time_unix_nano");
    read.status = status_of(text_of(member(told, "status"), "code"));
    read.status_message = text_of(member(told, "status"), "message");
    read.attributes = read_attributes(told);
    if (const json& events = member(told, "events"); events.is_array())
        for (const json& one : events)
            read.events.push_back({text_of(one, "name"), integer_of(one, "time_unix_nano"), read_attributes(one)});
    return read;
}

inline std::optional<stored_trace> read_trace(const json& told) {
    auto info = read_trace_info(member(told, "trace_info"));
    if (!info) return std::nullopt;
    stored_trace read{std::move(*info), {}};
    if (const json& spans = member(told, "spans"); spans.is_array())
        for (const json& one : spans) read.spans.push_back(read_span(one));
    return read;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
