// SPDX-License-Identifier: Apache-2.0
// Sends metrics of chats to the OpenTelemetry Collector that the environment names, in three requests.
#include <mlflow/trace.hpp>
#include <mlflow/trace/environment/otlp.hpp>
#include <mlflow/trace/exporters/otlp_metrics.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/transports/gzip.hpp>

#include <chrono>
#include <cstdio>
#include <utility>

namespace {

namespace mt = mlflow::trace;

using segment = mt::key<"app.segment">;
using metrics = mt::otlp_metrics<mt::gzip_transport<mt::beast_transport>, segment, mt::by_tag<"stage">>;
using exporter = mt::fan_out<mt::memory_exporter, metrics>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, exporter>;

void record(tracer_type& tracer, const segment& cohort, bool fails) {
    auto trace = tracer.start_trace("chat", mt::user{"user-1042"}, cohort, mt::tag{"stage", "caf\xc3\xa9 \"1\""});
    auto model = tracer.start_span("generate", mt::span_type::chat_model);
    model.model("my-model").provider("own").chunk("first").usage({.input = 300, .output = 5});
    if (fails) model.exception("timeout", "no answer");
}

} // namespace

int main() {
    auto chosen = mt::from_environment<metrics>({.most_attribute_sets = 3});
    if (!chosen) return std::fprintf(stderr, "%s\n", chosen.error().message().c_str()), 1;
    tracer_type tracer({.exporter = {.exporters = {mt::batch_options<mt::memory_exporter>{}, std::move(*chosen)}}});
    for (int request = 0; request < 3; ++request) {
        record(tracer, segment{"free"}, false);
        record(tracer, segment{"pro"}, false);
        record(tracer, segment{"pro"}, request == 1);
        record(tracer, segment{"fourth"}, true); // beyond the limit of operation.duration
        if (!tracer.flush(std::chrono::seconds(30)))
            return std::fprintf(stderr, "%s\n", tracer.last_error().message().c_str()), 1;
    }
    return 0;
}
