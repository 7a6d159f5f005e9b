// SPDX-License-Identifier: Apache-2.0
// The workload, recorded with opentelemetry-cpp. Its attributes carry the texts as they are: unlike the library, it
// does not write JSON. Its exporter drops the spans without encoding them.
#pragma once

#include "workload.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <opentelemetry/sdk/trace/batch_span_processor_factory.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/samplers/always_off_factory.h>
#include <opentelemetry/sdk/trace/samplers/always_on_factory.h>
#include <opentelemetry/sdk/trace/simple_processor_factory.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/noop.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/tracer.h>
#include <string_view>
#include <utility>

namespace benchmarks::peer {

namespace otel = opentelemetry;
using tracer_pointer = otel::nostd::shared_ptr<otel::trace::Tracer>;

inline otel::nostd::string_view view(std::string_view text) noexcept { return {text.data(), text.size()}; }

class discard final : public otel::sdk::trace::SpanExporter {
public:
    explicit discard(std::atomic<std::size_t>& exported) noexcept : exported_(exported) {}
    std::unique_ptr<otel::sdk::trace::Recordable> MakeRecordable() noexcept override {
        return std::make_unique<otel::sdk::trace::SpanData>();
    }
    otel::sdk::common::ExportResult
    Export(const otel::nostd::span<std::unique_ptr<otel::sdk::trace::Recordable>>& spans) noexcept override {
        exported_ += spans.size();
        for (auto& span : spans) span.reset();
        return otel::sdk::common::ExportResult::kSuccess;
    }
    bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
    bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

private:
    std::atomic<std::size_t>& exported_;
};

enum class processing { at_the_end_of_each_span, in_batches };

class pipeline {
public:
    explicit pipeline(processing how, bool is_sampled = true) {
        namespace sdk = otel::sdk::trace;
        auto exporter = std::make_unique<discard>(exported_);
        std::unique_ptr<sdk::SpanProcessor> processor;
        if (how == processing::in_batches) {
            sdk::BatchSpanProcessorOptions options; // the limits of mlflow_trace's `batch`
            options.max_queue_size = 262'144;
            options.max_export_batch_size = 1'024;
            options.schedule_delay_millis = std::chrono::milliseconds(500);
            processor = sdk::BatchSpanProcessorFactory::Create(std::move(exporter), options);
        } else {
            processor = sdk::SimpleSpanProcessorFactory::Create(std::move(exporter));
        }
        auto sampler = is_sampled ? sdk::AlwaysOnSamplerFactory::Create() : sdk::AlwaysOffSamplerFactory::Create();
        provider_ = std::make_shared<sdk::TracerProvider>(
            std::move(processor), otel::sdk::resource::Resource::Create({}), std::move(sampler));
        tracer_ = provider_->GetTracer("benchmark");
    }

    [[nodiscard]] otel::trace::Tracer& tracer() const noexcept { return *tracer_; }
    void flush() { provider_->ForceFlush(std::chrono::seconds(60)); }
    [[nodiscard]] std::size_t exported() const noexcept { return exported_; }

private:
    std::atomic<std::size_t> exported_{0};
    std::shared_ptr<otel::sdk::trace::TracerProvider> provider_;
    tracer_pointer tracer_;
};

inline void fill(otel::trace::Span& span, text_pairs& texts) {
    const attribute_values& value = values();
    texts.advance();
    span.SetAttribute("mlflow.spanType", view(value.type));
    span.SetAttribute("gen_ai.system", view(value.system));
    span.SetAttribute("gen_ai.request.model", view(value.model));
    span.SetAttribute("gen_ai.operation.name", view(value.operation));
    span.SetAttribute("app.session_of_the_call", view(value.session));
    span.SetAttribute("gen_ai.usage.input_tokens", value.input_tokens);
    span.SetAttribute("gen_ai.usage.output_tokens", value.output_tokens);
    span.SetAttribute("gen_ai.usage.total_tokens", value.total_tokens);
    span.SetAttribute("mlflow.spanInputs", view(texts.inputs()));
    span.SetAttribute("mlflow.spanOutputs", view(texts.outputs()));
}

inline void record_trace(otel::trace::Tracer& tracer, text_pairs& texts) {
    const auto record = [&](std::string_view name, auto&& inside) {
        auto span = tracer.StartSpan(view(name));
        const otel::trace::Scope current(span);
        inside(*span);
        fill(*span, texts);
        span->End();
    };
    const auto nothing = [](otel::trace::Span&) {};
    record(span_names[0], [&](otel::trace::Span& root) {
        root.SetAttribute("mlflow.trace.user", view(user_id));
        root.SetAttribute("mlflow.trace.session", view(session_id));
        record(span_names[1], [&](otel::trace::Span&) {
            record(span_names[2], nothing);
            record(span_names[3], nothing);
        });
    });
}

inline void record_bare(otel::trace::Tracer& tracer) {
    auto span = tracer.StartSpan("chat_completion");
    const otel::trace::Scope current(span);
    span->End();
}

inline void record_children(otel::trace::Tracer& tracer, std::size_t count) {
    auto root = tracer.StartSpan("chat_completion");
    const otel::trace::Scope current(root);
    for (std::size_t i = 0; i < count; ++i) record_bare(tracer);
    root->End();
}

} // namespace benchmarks::peer
