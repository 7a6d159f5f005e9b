// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/json_writer.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/protobuf.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Who reads the request.
enum class otlp_receiver : std::uint8_t {
    /// Any OTLP receiver: every value bare. What MLflow takes only by its own API travels as attributes of the root
    /// span: further metadata as `mlflow.traceMetadata.<key>`, the client request ID as `mlflow.clientRequestId`,
    /// previews as `mlflow.traceRequestPreview` and `mlflow.traceResponsePreview`.
    any,
    /// As `any`, and under the names of OpenTelemetry's conventions for generative AI: the session as
    /// `gen_ai.conversation.id`, and with `otlp_exporter` model, provider, tokens, messages, tools and agents.
    gen_ai,
    /// MLflow, by way of a Collector, say: as `any`, and text that MLflow would read as a JSON text is encoded as
    /// JSON once, so that it is stored as it is. What MLflow takes only by its own API it shows as attributes of the
    /// root.
    mlflow
};

/// How traces are put into a request.
struct otlp_form {
    otlp_receiver receiver = otlp_receiver::any;
    /// User and session on each span, and not on the root alone: for receivers that sum up by span (Langfuse, Phoenix
    /// and others do; MLflow does not).
    bool identity_on_every_span = false;
    bool goes_with_trace_info = false; ///< what MLflow's own API carries is sent that way
    /// Appends a span's body in other words; null: as it is.
    bool (*append_body)(detail::buffer& out, const span_data& span) = nullptr;

    constexpr otlp_form() noexcept = default;
    constexpr otlp_form(otlp_receiver chosen) noexcept : receiver(chosen) {}
};

/// What the spans come from: OpenTelemetry's resource attributes, such as `service.name`.
using resource_attributes = std::vector<std::pair<std::string, std::string>>;

namespace detail {

inline bool append_literal_text(buffer& out, std::string_view key, std::string_view text, otlp_receiver receiver) {
    // Python ends at a number of over 4300 digits in a way that MLflow does not expect, also where the rest is no
    // JSON.
    const auto is_taken_for_json = [text] { return text.size() > 4'300 || is_json_document(text); };
    if (receiver == otlp_receiver::mlflow && may_be_json(text) && is_taken_for_json())
        return append_json_attribute(out, otlp::attributes, key, [&] { return append_json_string(out, text); });
    return append_text_attribute(out, otlp::attributes, key, text);
}

struct key_and_value {
    std::string_view key;
    std::string_view any_value;
};

inline key_and_value split_key_value(std::string_view key_value) noexcept {
    key_and_value found;
    for (protobuf_reader at(key_value); at.next();) {
        if (at.field() == otlp::key) found.key = at.bytes();
        else if (at.field() == otlp::value) found.any_value = at.bytes();
    }
    return found;
}

// The key and the text of a KeyValue; a text whose data() is null when it is of another type.
inline std::pair<std::string_view, std::string_view> text_attribute(std::string_view key_value) noexcept {
    const auto [key, any_value] = split_key_value(key_value);
    std::pair<std::string_view, std::string_view> found(key, {});
    for (protobuf_reader any(any_value); any.next();)
        if (any.field() == otlp::string_value) found.second = any.bytes();
    return found;
}

// MLflow's server stores JSON that it then cannot read, and fails every page of a search that holds it: nested in
// more than 45 levels, or with an integer outside 64 bits with a sign (found with MLflow 3.17). `json` is
// well-formed.
inline bool mlflow_can_read(std::string_view json) noexcept {
    constexpr int deepest = 40;
    int depth = 0;
    for (std::size_t at = 0; at < json.size(); ++at) {
        const char c = json[at];
        if (c == '"') {
            for (++at; at < json.size() && json[at] != '"'; ++at)
                if (json[at] == '\\') ++at;
        } else if (c == '[' || c == '{') {
            if (++depth > deepest) return false;
        } else if (c == ']' || c == '}') {
            --depth;
        } else if (c >= '0' && c <= '9') {
            const std::size_t begin = at;
            while (at < json.size() && json[at] >= '0' && json[at] <= '9') ++at;
            const std::string_view digits = json.substr(begin, at - begin);
            const bool is_integer = at == json.size() || (json[at] != '.' && json[at] != 'e' && json[at] != 'E');
            const bool is_negative = begin > 0 && json[begin - 1] == '-';
            const std::string_view most = is_negative ? "9223372036854775808" : "9223372036854775807";
            if (is_integer && (digits.size() > most.size() || (digits.size() == most.size() && digits > most)))
                return false;
            if (!is_integer) // the fraction and the exponent are no integers of their own
                while (at < json.size() &&
                       std::string_view("0123456789.eE+-").find(json[at]) != std::string_view::npos)
                    ++at;
            --at;
        }
    }
    return true;
}

// Such JSON is stored as the text that it is; text that MLflow would take for JSON is encoded once more.
inline bool append_attribute_for_mlflow(buffer& out, std::string_view key_value, std::string_view raw) {
    const auto [key, text] = text_attribute(key_value);
    if (!text.data()) return out.append(raw);
    if (!is_meant_as_json(key_value)) return append_literal_text(out, key, text, otlp_receiver::mlflow);
    if (mlflow_can_read(text)) return out.append(raw);
    return append_json_attribute(out, otlp::attributes, key,
                                 [&out, json = text] { return append_json_string(out, json); });
}

// The body of a span to look closer at.
inline bool append_body_for_mlflow(buffer& out, std::string_view body) {
    for (protobuf_reader at(body); at.next();) {
        const bool is_attribute = at.field() == otlp::attributes;
        if (is_attribute ? !append_attribute_for_mlflow(out, at.bytes(), at.raw()) : !out.append(at.raw()))
            return false;
    }
    return true;
}

inline bool append_prefixed(buffer& out, std::string_view prefix, const trace_entry& entry, otlp_receiver receiver) {
    char key[32 + 250 * 4]; // the longest prefix, and the longest key in UTF-8
    const std::size_t size = prefix.size() + entry.key.size();
    if (size > sizeof key) return false;
    write_bytes(write_bytes(key, prefix), entry.key);
    return append_literal_text(out, {key, size}, entry.value, receiver);
}

// As long as MLflow takes it, which is 4096 characters.
inline std::string_view trace_name(const span_data& span) noexcept {
    std::string_view name;
    for (protobuf_reader at(span.body.view()); at.next();)
        if (at.field() == otlp::name) name = at.bytes();
    return first_code_points(name, 4096);
}

inline bool append_identity(buffer& out, const trace_data& trace, otlp_receiver receiver) {
    const auto append = [&](std::string_view key, std::string_view value) {
        return !value.data() || append_literal_text(out, key, value, receiver);
    };
    const std::string_view session = trace.metadata(mlflow_names::trace_session);
    return append(mlflow_names::user_id, trace.metadata(mlflow_names::trace_user)) &&
           append(mlflow_names::session_id, session) &&
           (receiver != otlp_receiver::gen_ai || append(mlflow_names::conversation_id, session));
}

// What the root span says of its trace. MLflow believes the first span that says whose it is, and no later one, so no
// other span does unless it is asked for.
inline bool append_trace_entries(buffer& out, const trace_data& trace, const otlp_form& form) {
    // MLflow takes tags and a name from the root of the whole trace; what else there is stays with the span.
    const bool is_all_here = !form.goes_with_trace_info || is_continued(trace);
    for (const trace_entry entry : trace.entries) {
        const auto append = [&](std::string_view key) {
            return !is_all_here || append_literal_text(out, key, entry.value, form.receiver);
        };
        const bool is_identity = entry.key == mlflow_names::trace_user || entry.key == mlflow_names::trace_session;
        bool good = true;
        switch (entry.kind) {
        case entry_kind::metadata:
            good =
                is_identity || !is_all_here || append_prefixed(out, mlflow_names::any_metadata, entry, form.receiver);
            break;
        case entry_kind::tag: good = append_prefixed(out, mlflow_names::any_tag, entry, form.receiver); break;
        case entry_kind::client_request_id: good = append(mlflow_names::client_request_id); break;
        case entry_kind::request_preview: good = append(mlflow_names::request_preview); break;
        case entry_kind::response_preview: good = append(mlflow_names::response_preview); break;
        case entry_kind::tracestate: good = append_text_field(out, otlp::w3c_trace_state, entry.value); break;
        case entry_kind::absent: break;
        }
        if (!good) return false;
    }
    // MLflow does not take the trace's name from its root.
    return form.receiver != otlp_receiver::mlflow || is_continued(trace) ||
           append_literal_text(out, mlflow_names::tag_of_trace_name, trace_name(*trace.root), form.receiver);
}

inline bool append_resource(buffer& out, const resource_attributes& attributes) {
    constexpr unsigned resource = 1;
    constexpr unsigned resource_attribute = 1;
    if (!out.push_back(short_tag(resource, wire_type::length_delimited))) return false;
    late_length length(out);
    for (const auto& [key, value] : attributes)
        if (!append_text_attribute(out, resource_attribute, key, value)) return false;
    return append_text_attribute(out, resource_attribute, "telemetry.sdk.name", "mlflow_trace") &&
           append_text_attribute(out, resource_attribute, "telemetry.sdk.language", "cpp") &&
           append_text_attribute(out, resource_attribute, "telemetry.sdk.version", MLFLOW_TRACE_VERSION) &&
           length.close();
}

inline bool append_scope(buffer& out) {
    constexpr unsigned scope = 1;
    if (!out.push_back(short_tag(scope, wire_type::length_delimited))) return false;
    late_length length(out);
    return append_text_field(out, 1, "mlflow_trace") && append_text_field(out, 2, MLFLOW_TRACE_VERSION) &&
           length.close();
}

inline bool append_span(buffer& out, const trace_data& trace, const span_data& span, const otlp_form& form) {
    constexpr unsigned spans = 2;
    if (!out.push_back(short_tag(spans, wire_type::length_delimited))) return false;
    const bool rewritten = form.receiver == otlp_receiver::mlflow && span.needs_rewrite;
    const bool is_root = &span == trace.root;
    if (!is_root && !rewritten && !form.identity_on_every_span && !form.append_body)
        return append_varint(out, span.body.size()) && out.append(span.body.view());
    late_length length(out);
    const bool is_written = form.append_body ? form.append_body(out, span)
                            : rewritten      ? append_body_for_mlflow(out, span.body.view())
                                             : out.append(span.body.view());
    return is_written && (!(is_root || form.identity_on_every_span) || append_identity(out, trace, form.receiver)) &&
           (!is_root || append_trace_entries(out, trace, form)) && length.close();
}

} // namespace detail

/// Appends the protobuf bytes of an OTLP `ExportTraceServiceRequest` that holds all spans of the batch. False when
/// memory ran out, or the request would be over 256 MiB; `out` is as before then.
inline bool append_otlp_request(detail::buffer& out, const trace_batch& batch, const resource_attributes& resource,
                                const otlp_form& form) {
    using namespace detail;
    constexpr unsigned resource_spans = 1;
    constexpr unsigned scope_spans = 2;
    const std::size_t before = out.size();
    const auto append_all = [&] {
        if (!out.push_back(short_tag(resource_spans, wire_type::length_delimited))) return false;
        late_length resource_length(out);
        if (!append_resource(out, resource)) return false;
        if (!out.push_back(short_tag(scope_spans, wire_type::length_delimited))) return false;
        late_length scope_length(out);
        if (!append_scope(out)) return false;
        for (const trace_data& trace : batch)
            for (const span_data* span = trace.spans; span; span = span->next)
                if (!append_span(out, trace, *span, form)) return false;
        return scope_length.close() && resource_length.close();
    };
    if (append_all()) return true;
    out.truncate(before);
    return false;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
