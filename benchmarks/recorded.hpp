// SPDX-License-Identifier: Apache-2.0
// The workload, recorded with mlflow_trace.
#pragma once

#include "workload.hpp"
#include <mlflow/trace.hpp>

#include <cstddef>

namespace benchmarks {

namespace mt = mlflow::trace;

// Recycles what it receives: what is measured is recording.
struct discard {
    static constexpr bool is_thread_safe = true;
    mt::export_result export_traces(mt::trace_batch& batch) noexcept {
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
};

// Encodes a request, as an exporter to a server does, and drops it.
class encode_and_drop {
public:
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        request_.clear();
        if (mt::append_otlp_request(request_, batch, resource_, mt::otlp_receiver::mlflow))
            outcome.exported_spans = batch.span_count();
        return outcome;
    }

private:
    mt::detail::buffer request_;
    mt::resource_attributes resource_;
};

using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
template <class Exporter, class Recording = mt::record_all, class Platform = mt::hosted_platform>
using tracer_to = mt::tracer<schema, mt::thread_local_context, Exporter, Recording, Platform>;
using open_tracer = mt::tracer<mt::open_schema, mt::thread_local_context, discard>;

enum class keys { at_run_time, literal };

template <keys Keys, class Span>
void fill(Span& span, text_pairs& texts) {
    const attribute_values& value = values();
    texts.advance();
    if constexpr (Keys == keys::literal) {
        span.template attribute<"gen_ai.system">(value.system);
        span.template attribute<"gen_ai.request.model">(value.model);
        span.template attribute<"gen_ai.operation.name">(value.operation);
        span.template attribute<"app.session_of_the_call">(value.session);
        span.template attribute<"gen_ai.usage.input_tokens">(value.input_tokens);
        span.template attribute<"gen_ai.usage.output_tokens">(value.output_tokens);
        span.template attribute<"gen_ai.usage.total_tokens">(value.total_tokens);
    } else {
        span.attribute("gen_ai.system", value.system);
        span.attribute("gen_ai.request.model", value.model);
        span.attribute("gen_ai.operation.name", value.operation);
        span.attribute("app.session_of_the_call", value.session);
        span.attribute("gen_ai.usage.input_tokens", value.input_tokens);
        span.attribute("gen_ai.usage.output_tokens", value.output_tokens);
        span.attribute("gen_ai.usage.total_tokens", value.total_tokens);
    }
    span.inputs(texts.inputs());
    span.outputs(texts.outputs());
}

template <keys Keys = keys::at_run_time, class Tracer>
void record_trace(Tracer& tracer, text_pairs& texts) {
    constexpr auto type = mt::span_type::chat_model;
    auto root =
        tracer.start_trace(span_names[0], mt::user{"user-1042"}, mt::session{"sess-7f3c9a1e-42d5-4b7e"}, type);
    {
        auto step = tracer.start_span(span_names[1], type);
        {
            auto model = tracer.start_span(span_names[2], type);
            fill<Keys>(model, texts);
        }
        {
            auto tool = tracer.start_span(span_names[3], type);
            fill<Keys>(tool, texts);
        }
        fill<Keys>(step, texts);
    }
    fill<Keys>(root, texts);
}

template <class Tracer>
void record_bare(Tracer& tracer) {
    auto span = tracer.start_span("chat_completion");
}

template <class Tracer>
void record_children(Tracer& tracer, std::size_t count) {
    auto root = tracer.start_span("chat_completion");
    for (std::size_t i = 0; i < count; ++i) record_bare(tracer);
}

} // namespace benchmarks
