// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/wire/mlflow_dialect.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/protobuf.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The kind of receiver that a request is written for.
enum class otlp_receiver : std::uint8_t {
    /// Any OTLP receiver: values are not encoded further. Values that MLflow accepts only through its own API are
    /// attributes of the root span: other metadata as `mlflow.traceMetadata.<key>`, the client request ID as
    /// `mlflow.clientRequestId`, previews as `mlflow.traceRequestPreview` and `mlflow.traceResponsePreview`.
    any,
    /// As `any`, with the names of OpenTelemetry's conventions for generative AI: the session as
    /// `gen_ai.conversation.id` and, with `otlp_exporter`, model, provider, tokens, messages, tools and agents.
    gen_ai,
    /// MLflow, for example through a Collector. As `any`, but text that MLflow would read as JSON is encoded as a
    /// JSON string, so that MLflow stores it unchanged. MLflow shows the values that it accepts only through its own
    /// API as attributes of the root span.
    mlflow
};

/// How traces are written into a request.
struct otlp_form {
    otlp_receiver receiver = otlp_receiver::any; ///< the kind of receiver
    /// Writes user and session on each span instead of on the root span only. For receivers that aggregate by span
    /// (Langfuse, Phoenix and others; not MLflow).
    bool identity_on_every_span = false;
    bool goes_with_trace_info = false; ///< values for MLflow's own API are sent through that API
    /// Appends a span's body in another form; null: unchanged.
    bool (*append_body)(detail::buffer& out, const span_data& span) = nullptr;

    /// The form for any receiver.
    constexpr otlp_form() noexcept = default;
    /// The form for this kind of receiver.
    constexpr otlp_form(otlp_receiver chosen) noexcept : receiver(chosen) {}
};

/// OpenTelemetry's resource attributes, such as `service.name`: the origin of the spans.
using resource_attributes = std::vector<std::pair<std::string, std::string>>;

namespace detail {

inline bool append_literal_text(buffer& out, std::string_view key, std::string_view text, otlp_receiver receiver) {
    return receiver == otlp_receiver::mlflow ? append_text_for_mlflow(out, key, text)
                                             : append_text_attribute(out, otlp::attributes, key, text);
}

inline bool append_prefixed(buffer& out, std::string_view prefix, const trace_entry& entry, otlp_receiver receiver) {
    char key[32 + 250 * 4]; // the longest prefix, and the longest key in UTF-8
    const std::size_t size = prefix.size() + entry.key.size();
    if (size > sizeof key) return false;
    write_bytes(write_bytes(key, prefix), entry.key);
    return append_literal_text(out, {key, size}, entry.value, receiver);
}

// The name of the span, truncated to the 4096 characters that MLflow accepts.
inline std::string_view trace_name(const span_data& span) noexcept {
    for (protobuf_reader at(span.body.view()); at.next();)
        if (at.field() == otlp::name) return first_code_points(at.bytes(), 4096);
    return {};
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

// Appends to the root span the values that describe its trace. MLflow uses the identity of the first span that has
// one and ignores it on later spans, so other spans have none unless this was requested.
inline bool append_trace_entries(buffer& out, const trace_data& trace, const otlp_form& form) {
    // MLflow reads tags and a name from the root span of the whole trace. Other values stay with their span.
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
    // MLflow does not use the name of the root span as the name of the trace.
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

/// Appends the protobuf bytes of an OTLP `ExportTraceServiceRequest` with all spans of the batch. Returns false, and
/// leaves `out` unchanged, when memory runs out or the request would exceed 256 MiB.
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
