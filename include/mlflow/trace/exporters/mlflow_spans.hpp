// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/text/base64.hpp>
#include <mlflow/trace/text/hex.hpp>
#include <mlflow/trace/text/json_number.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/json_writer.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Spans in the form in which MLflow's Python client writes them to the artifact traces.json, and the values that
// MLflow computes from spans received over OTLP.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The functions append to `out` what fits; `out.overflowed()` tells whether something is missing. They throw
// std::bad_alloc if other memory runs out.

inline void append_any_value(buffer& out, std::string_view any_value) {
    for (protobuf_reader at(any_value); at.next();) {
        switch (at.field()) {
        case otlp::string_value: append_json_string(out, at.bytes()); return;
        case otlp::bool_value: append_json_bool(out, at.number() != 0); return;
        case otlp::int_value: append_json_int(out, static_cast<std::int64_t>(at.number())); return;
        case otlp::double_value: {
            const auto value = std::bit_cast<double>(at.number());
            if (value != value) out.append("NaN"); // as Python writes and reads it
            else if (!is_finite(value)) out.append(value < 0 ? "-Infinity" : "Infinity");
            else append_json_double(out, value);
            return;
        }
        default: break;
        }
    }
    append_json_null(out);
}

inline void append_member_name(buffer& out, std::string_view name) {
    append_json_string(out, name);
    out.push_back(':');
}

// Appends the fields with this number, each written by `write`, separated by commas.
template <class Write>
void append_each(buffer& out, std::string_view message, unsigned field, Write write) {
    bool is_first = true;
    for (protobuf_reader at(message); at.next();) {
        if (at.field() != field) continue;
        if (!std::exchange(is_first, false)) out.push_back(',');
        write(at.bytes());
    }
}

// Appends the value of a span attribute as JSON.
inline void append_json_value(buffer& out, std::string_view key_value) {
    const auto text = text_attribute(key_value).second;
    if (text.data() && is_meant_as_json(key_value) && mlflow_can_read(text)) out.append(text);
    else append_any_value(out, split_key_value(key_value).any_value);
}

// Appends a span attribute as a JSON text inside a string.
inline void append_dumped_attribute(buffer& out, std::string_view key_value) {
    buffer value;
    append_json_value(value, key_value);
    append_member_name(out, split_key_value(key_value).key);
    append_json_string(out, whole(value));
}

// Appends the attributes of an event or link, with plain JSON values.
inline void append_bare_attributes(buffer& out, std::string_view message, unsigned field) {
    out.append(R"("attributes":{)");
    append_each(out, message, field, [&out](std::string_view key_value) {
        const auto [key, any_value] = split_key_value(key_value);
        append_member_name(out, key);
        append_any_value(out, any_value);
    });
    out.push_back('}');
}

inline void append_event(buffer& out, std::string_view event) {
    std::string_view name;
    std::uint64_t time = 0;
    for (protobuf_reader at(event); at.next();) {
        if (at.field() == otlp::event_name) name = at.bytes();
        else if (at.field() == otlp::event_time) time = at.number();
    }
    out.append(R"({"name":)");
    append_json_string(out, name);
    out.append(R"(,"time_unix_nano":)");
    append_json_uint(out, time);
    out.push_back(',');
    append_bare_attributes(out, event, otlp::event_attributes);
    out.push_back('}');
}

inline void append_link(buffer& out, std::string_view link) {
    std::string_view trace, span;
    for (protobuf_reader at(link); at.next();) {
        if (at.field() == otlp::trace_id) trace = at.bytes();
        else if (at.field() == otlp::span_id) span = at.bytes();
    }
    out.append(R"({"trace_id":"tr-)");
    append_hex(out, trace);
    out.append(R"(","span_id":")");
    append_hex(out, span);
    out.append(R"(",)");
    append_bare_attributes(out, link, otlp::link_attributes);
    out.push_back('}');
}

inline void append_base64_member(buffer& out, std::string_view name, std::string_view bytes) {
    append_member_name(out, name);
    if (bytes.empty()) {
        append_json_null(out);
    } else {
        out.push_back('"');
        append_base64(out, bytes);
        out.push_back('"');
    }
    out.push_back(',');
}

inline void append_status(buffer& out, std::string_view status) {
    std::string_view message;
    std::uint64_t code = 0;
    for (protobuf_reader at(status); at.next();) {
        if (at.field() == otlp::status_message) message = at.bytes();
        else if (at.field() == otlp::status_code) code = at.number();
    }
    out.append(code == 1   ? R"({"code":"STATUS_CODE_OK","message":)"
               : code == 2 ? R"({"code":"STATUS_CODE_ERROR","message":)"
                           : R"({"code":"STATUS_CODE_UNSET","message":)");
    append_json_string(out, message);
    out.push_back('}');
}

// `trace` is the trace's ID on the server.
inline void append_span_json(buffer& out, std::string_view body, std::string_view trace) {
    std::string_view ids[otlp::parent_span_id + 1];
    std::string_view name, status;
    std::uint64_t start = 0, end = 0;
    for (protobuf_reader at(body); at.next();) {
        switch (at.field()) {
        case otlp::trace_id:
        case otlp::span_id:
        case otlp::parent_span_id: ids[at.field()] = at.bytes(); break;
        case otlp::name: name = at.bytes(); break;
        case otlp::start_time: start = at.number(); break;
        case otlp::end_time: end = at.number(); break;
        case otlp::span_status: status = at.bytes(); break;
        default: break;
        }
    }
    out.push_back('{');
    append_base64_member(out, "trace_id", ids[otlp::trace_id]);
    append_base64_member(out, "span_id", ids[otlp::span_id]);
    append_base64_member(out, "parent_span_id", ids[otlp::parent_span_id]);
    out.append(R"("name":)");
    append_json_string(out, name);
    out.append(R"(,"start_time_unix_nano":)");
    append_json_uint(out, start);
    out.append(R"(,"end_time_unix_nano":)");
    append_json_uint(out, end);
    out.append(R"(,"events":[)");
    append_each(out, body, otlp::events, [&out](std::string_view event) { append_event(out, event); });
    out.append(R"(],"status":)");
    append_status(out, status);
    out.append(R"(,"links":[)");
    append_each(out, body, otlp::links, [&out](std::string_view link) { append_link(out, link); });
    out.append(R"(],"attributes":{"mlflow.traceRequestId":"\")");
    out.append(trace);
    out.append(R"(\"",)");
    append_each(out, body, otlp::attributes,
                [&out](std::string_view key_value) { append_dumped_attribute(out, key_value); });
    out.append("}}");
}

// The JSON value of a span attribute; empty if there is none. The last attribute with this key counts.
inline std::string attribute_json(const span_data& span, std::string_view key) {
    buffer value;
    for (protobuf_reader at(span.body.view()); at.next();) {
        if (at.field() != otlp::attributes || split_key_value(at.bytes()).key != key) continue;
        value.clear();
        append_json_value(value, at.bytes());
    }
    return std::string(whole(value));
}

// The sums over all spans of the numbers in a JSON attribute, as JSON. Spans whose parent has the attribute too are
// left out. The first three members are always written, the others if a span has them. Empty if no span has the
// attribute.
template <std::size_t N>
std::string summed_attribute(const trace_data& trace, std::string_view key, const std::string_view (&members)[N],
                             bool is_integer) {
    constexpr std::size_t always = 3;
    struct told {
        std::string_view id, parent;
        std::string json;
    };
    std::vector<told> all;
    for (const span_data* span = trace.spans; span; span = span->next) {
        told one{{}, {}, attribute_json(*span, key)};
        if (one.json.empty()) continue;
        for (protobuf_reader at(span->body.view()); at.next();) {
            if (at.field() == otlp::span_id) one.id = at.bytes();
            else if (at.field() == otlp::parent_span_id) one.parent = at.bytes();
        }
        all.push_back(std::move(one));
    }
    double sums[N]{};
    bool is_there[N]{};
    for (const told& one : all) {
        bool is_told_by_parent = false;
        for (const told& other : all) is_told_by_parent = is_told_by_parent || other.id == one.parent;
        for (std::size_t i = 0; i < N && !is_told_by_parent; ++i) {
            const std::string number(json_find(one.json, {members[i]}));
            sums[i] += std::strtod(number.c_str(), nullptr);
            is_there[i] = is_there[i] || i < always || !number.empty();
        }
    }
    if (all.empty()) return {};
    buffer out;
    for (std::size_t i = 0; i < N; ++i) {
        if (i >= always && !is_there[i]) continue;
        out.push_back(i == 0 ? '{' : ',');
        append_member_name(out, members[i]);
        if (is_integer) append_json_int(out, static_cast<std::int64_t>(sums[i]));
        else append_json_double(out, sums[i]);
    }
    out.push_back('}');
    return std::string(whole(out));
}

// The values that MLflow computes for a trace received over OTLP. Empty texts: none.
struct trace_summary {
    std::string inputs;
    std::string outputs;
    std::string token_usage;
    std::string cost;
};

inline trace_summary summarise(const trace_data& trace) {
    return {attribute_json(*trace.root, mlflow_names::span_inputs),
            attribute_json(*trace.root, mlflow_names::span_outputs),
            summed_attribute(trace, mlflow_names::token_usage,
                             {"input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens",
                              "cache_creation_input_tokens", "cache_creation_input_tokens_above_1hr"},
                             true),
            summed_attribute(trace, mlflow_names::cost, {"input_cost", "output_cost", "total_cost"}, false)};
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
