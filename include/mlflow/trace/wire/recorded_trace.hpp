// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/text/json_number.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Names and values, in the order in which they were recorded.
class recorded_values : public std::vector<std::pair<std::string, std::string>> {
public:
    /// The last value with this name, which is the one that MLflow reads; empty if there is none.
    [[nodiscard]] std::string operator[](std::string_view name) const {
        std::string found;
        for (const auto& [key, value] : *this)
            if (key == name) found = value;
        return found;
    }
    /// Whether there is a value with this name.
    [[nodiscard]] bool contains(std::string_view name) const {
        for (const auto& pair : *this)
            if (pair.first == name) return true;
        return false;
    }
};

/// An event of a span, decoded.
struct recorded_event {
    std::string name;            ///< the name of the event
    std::uint64_t unix_nano = 0; ///< its time in nanoseconds since 1970
    recorded_values attributes;  ///< its attributes
};

/// A link of a span, decoded.
struct recorded_link {
    mlflow::trace::trace_id trace_id; ///< the trace of the other span
    span_id id;                       ///< the ID of the other span
    recorded_values attributes;       ///< the attributes of the link
};

/// A span that has ended, decoded. Attributes are text: numbers as decimal digits, bool as `true` or `false`.
struct recorded_span {
    span_id id;                         ///< the ID of the span
    span_id parent;                     ///< not valid for the root span of a whole trace
    std::string name;                   ///< the name of the span
    std::uint64_t start_unix_nano = 0;  ///< start in nanoseconds since 1970
    std::uint64_t end_unix_nano = 0;    ///< end in nanoseconds since 1970
    status code = status::unset;        ///< the status
    std::string status_message;         ///< the text of an error status
    recorded_values attributes;         ///< the attributes
    std::vector<recorded_event> events; ///< the events
    std::vector<recorded_link> links;   ///< the links
};

/// A trace, or a part of one, decoded; for tests of instrumentation, and for exporters that need not be fast.
struct recorded_trace {
    trace_id id;                      ///< the ID of the trace
    bool has_root = false;            ///< false for a part with spans that ended after the root span
    span_id root_id{};                ///< the root span in this process, whose parent may be in another process
    std::string client_request_id;    ///< empty unless set
    std::string request_preview;      ///< empty unless set
    std::string response_preview;     ///< empty unless set
    recorded_values metadata;         ///< metadata with user and session
    recorded_values tags;             ///< tags
    std::vector<recorded_span> spans; ///< the spans, in the order in which they ended

    /// The root span in this process, or null if it is not among `spans`.
    [[nodiscard]] const recorded_span* root() const noexcept {
        for (const recorded_span& span : spans)
            if (root_id.valid() ? span.id == root_id : !span.parent.valid()) return &span;
        return nullptr;
    }
    /// The first span with this name, or null.
    [[nodiscard]] const recorded_span* find(std::string_view name) const noexcept {
        for (const recorded_span& span : spans)
            if (span.name == name) return &span;
        return nullptr;
    }
};

namespace detail {

inline std::string any_value_text(std::string_view any_value) {
    for (protobuf_reader at(any_value); at.next();) {
        switch (at.field()) {
        case otlp::string_value: return std::string(at.bytes());
        case otlp::bool_value: return at.number() ? "true" : "false";
        case otlp::int_value: return std::to_string(static_cast<std::int64_t>(at.number()));
        case otlp::double_value: {
            buffer text;
            append_json_double(text, std::bit_cast<double>(at.number()));
            return std::string(whole(text));
        }
        default: break;
        }
    }
    return {};
}

inline std::pair<std::string, std::string> key_value_text(std::string_view key_value) {
    std::pair<std::string, std::string> pair;
    for (protobuf_reader at(key_value); at.next();) {
        if (at.field() == otlp::key) pair.first = at.bytes();
        else if (at.field() == otlp::value) pair.second = any_value_text(at.bytes());
    }
    return pair;
}

inline std::uint64_t big_endian(std::string_view bytes) noexcept {
    std::uint64_t value = 0;
    for (const char c : bytes) value = value << 8U | static_cast<unsigned char>(c);
    return value;
}

inline recorded_event decode_event(std::string_view message) {
    recorded_event event;
    for (protobuf_reader at(message); at.next();) {
        if (at.field() == otlp::event_time) event.unix_nano = at.number();
        else if (at.field() == otlp::event_name) event.name = at.bytes();
        else if (at.field() == otlp::event_attributes) event.attributes.push_back(key_value_text(at.bytes()));
    }
    return event;
}

inline recorded_link decode_link(std::string_view message) {
    recorded_link link;
    for (protobuf_reader at(message); at.next();) {
        if (at.field() == otlp::trace_id && at.bytes().size() == 16)
            link.trace_id = {big_endian(at.bytes().substr(0, 8)), big_endian(at.bytes().substr(8))};
        else if (at.field() == otlp::span_id) link.id.value = big_endian(at.bytes());
        else if (at.field() == otlp::link_attributes) link.attributes.push_back(key_value_text(at.bytes()));
    }
    return link;
}

inline recorded_span decode_span(std::string_view body) {
    recorded_span span;
    for (protobuf_reader at(body); at.next();) {
        switch (at.field()) {
        case otlp::span_id: span.id.value = big_endian(at.bytes()); break;
        case otlp::parent_span_id: span.parent.value = big_endian(at.bytes()); break;
        case otlp::name: span.name = at.bytes(); break;
        case otlp::start_time: span.start_unix_nano = at.number(); break;
        case otlp::end_time: span.end_unix_nano = at.number(); break;
        case otlp::attributes: span.attributes.push_back(key_value_text(at.bytes())); break;
        case otlp::events: span.events.push_back(decode_event(at.bytes())); break;
        case otlp::links: span.links.push_back(decode_link(at.bytes())); break;
        case otlp::span_status:
            for (protobuf_reader in(at.bytes()); in.next();) {
                if (in.field() == otlp::status_message) span.status_message = in.bytes();
                else if (in.field() == otlp::status_code) span.code = static_cast<status>(in.number());
            }
            break;
        default: break;
        }
    }
    return span;
}

} // namespace detail

namespace detail {

// The memory that the content of a decoded trace takes, with the overhead of the allocator.
inline std::size_t content_memory(const std::string& text) noexcept {
    const std::size_t in_place = std::string().capacity();
    return text.capacity() > in_place ? text.capacity() + machine::block_cost : 0;
}
inline std::size_t content_memory(const recorded_values& values) noexcept {
    std::size_t memory = values.capacity() * sizeof(values.front()) + machine::block_cost;
    for (const auto& [name, value] : values) memory += content_memory(name) + content_memory(value);
    return memory;
}
inline std::size_t content_memory(const recorded_span& span) noexcept {
    std::size_t memory = content_memory(span.name) + content_memory(span.status_message) +
                         content_memory(span.attributes) + span.events.capacity() * sizeof(recorded_event) +
                         span.links.capacity() * sizeof(recorded_link) + 2 * machine::block_cost;
    for (const recorded_event& event : span.events)
        memory += content_memory(event.name) + content_memory(event.attributes);
    for (const recorded_link& link : span.links) memory += content_memory(link.attributes);
    return memory;
}
inline std::size_t content_memory(const recorded_trace& trace) noexcept {
    std::size_t memory = content_memory(trace.client_request_id) + content_memory(trace.request_preview) +
                         content_memory(trace.response_preview) + content_memory(trace.metadata) +
                         content_memory(trace.tags) + trace.spans.capacity() * sizeof(recorded_span) +
                         machine::block_cost;
    for (const recorded_span& span : trace.spans) memory += content_memory(span);
    return memory;
}

} // namespace detail

/// Decodes a trace of a batch. Throws `std::bad_alloc`.
[[nodiscard]] inline recorded_trace decode(const trace_data& trace) {
    recorded_trace decoded;
    decoded.id = trace.id;
    decoded.has_root = trace.root != nullptr;
    if (trace.root) decoded.root_id = trace.root->id;
    for (const trace_entry entry : trace.entries) {
        std::pair<std::string, std::string> pair(entry.key, entry.value);
        switch (entry.kind) {
        case entry_kind::metadata: decoded.metadata.push_back(std::move(pair)); break;
        case entry_kind::tag: decoded.tags.push_back(std::move(pair)); break;
        case entry_kind::client_request_id: decoded.client_request_id = std::move(pair.second); break;
        case entry_kind::request_preview: decoded.request_preview = std::move(pair.second); break;
        case entry_kind::response_preview: decoded.response_preview = std::move(pair.second); break;
        case entry_kind::absent:
        case entry_kind::tracestate: break;
        }
    }
    for (const span_data* span = trace.spans; span; span = span->next)
        decoded.spans.push_back(detail::decode_span(span->body.view()));
    return decoded;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
