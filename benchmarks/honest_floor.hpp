// SPDX-License-Identifier: Apache-2.0
// Whether the floor writes what the library writes: byte for byte, with the times and IDs that the library chose.
#pragma once

#include "floor.hpp"
#include "recorded.hpp"
#include <mlflow/trace/wire/recorded_trace.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace benchmarks {

// Keeps the bytes of each span.
class keep_bytes {
public:
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        for (const mt::trace_data& trace : batch)
            for (const mt::span_data* span = trace.spans; span; span = span->next)
                bodies.push_back({trace.id, std::string(span->body.view())});
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    struct body {
        mt::trace_id trace;
        std::string bytes;
    };
    std::vector<body> bodies;
};

template <class Write>
bool is_written_by_hand(const keep_bytes::body& body, Write&& write) {
    const mt::recorded_span span = mt::detail::decode_span(body.bytes);
    const span_start start{body.trace.high, body.trace.low, span.id.value, span.parent.value, span.start_unix_nano};
    std::vector<char> room(16'384);
    const auto now = [&] { return span.end_unix_nano; };
    const char* const end = write(room.data(), start, std::string_view(span.name), now);
    return std::string_view(room.data(), static_cast<std::size_t>(end - room.data())) == body.bytes;
}

inline bool floor_is_honest() {
    tracer_to<keep_bytes> llm;
    text_pairs texts;
    for (std::size_t i = 0; i < text_pairs::count; ++i) record_trace(llm, texts);
    text_pairs again;
    for (const auto& body : llm.exporter().bodies) {
        again.advance();
        if (!is_written_by_hand(body, [&](char* to, const span_start& start, std::string_view name, auto&& now) {
                return by_hand::llm_span(to, start, name, again, now);
            }))
            return false;
    }
    mt::tracer<mt::open_schema, mt::thread_local_context, keep_bytes> bare;
    record_bare(bare);
    record_children(bare, 2);
    for (const auto& body : bare.exporter().bodies)
        if (!is_written_by_hand(body, [](char* to, const span_start& start, std::string_view, auto&& now) {
                return by_hand::bare_span(to, start, now);
            }))
            return false;
    return llm.exporter().bodies.size() == 4 * text_pairs::count && bare.exporter().bodies.size() == 4;
}

} // namespace benchmarks
