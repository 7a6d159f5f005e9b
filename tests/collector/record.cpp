// SPDX-License-Identifier: Apache-2.0
// Records traces to the OpenTelemetry Collector that the environment names and, a second time, to the file argv[1];
// prints whose they are, a JSON line each. argv[2] is the receiver that the Collector stands for: gen_ai or mlflow.
#include <mlflow/trace.hpp>
#include <mlflow/trace/environment/otlp.hpp>
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/transports/gzip.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace {

namespace mt = mlflow::trace;

using to_collector = mt::otlp_exporter<mt::gzip_transport<mt::beast_transport>>;

struct tee {
    struct options {
        mt::json_lines_exporter::options file;
        to_collector::options collector;
    };
    explicit tee(options chosen) : file(std::move(chosen.file)), collector(std::move(chosen.collector)) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        if (auto failed = file.export_traces(batch); !failed.ok()) return failed;
        return collector.export_traces(batch);
    }

    mt::json_lines_exporter file;
    to_collector collector;
};

using segment = mt::key<"app.segment">;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<tee>>;

void record(tracer_type& tracer, const std::string& text) {
    auto trace = tracer.start_trace("chat", *mt::user::parse(text), *mt::session::parse("s" + text), segment{"pro"},
                                    mt::client_request_id{"r-1"}, mt::tag{"kind", text});
    trace.inputs(mt::arg("message", text)).outputs(text);
    auto model = tracer.start_span("generate", mt::span_type::chat_model);
    model.model("my-model").usage({.input = 3, .output = 5}).cost({.total = 0.25});
    model.attribute("text", text).attribute("number", -0.5).attribute("yes", true).attribute("big", 1ULL << 62U);
    model.event("event", mt::arg("text", text)).chunk(text).exception("std::runtime_error", text);
    model.link(trace.trace_id(), trace.id());
    const nlohmann::json said{
        {"trace", trace.trace_id().hex().view()}, {"user", text}, {"session", "s" + text}, {"tag", text}};
    std::puts(said.dump().c_str());
}

} // namespace

int main(int, char** arguments) {
    const bool is_for_mlflow = std::string_view(arguments[2]) == "mlflow";
    auto collector = mt::from_environment<to_collector>(
        {.receiver = is_for_mlflow ? mt::otlp_receiver::mlflow : mt::otlp_receiver::gen_ai});
    if (!collector) return std::fprintf(stderr, "%s\n", collector.error().message().c_str()), 1;
    const auto resource = collector->resource;
    tracer_type tracer({.exporter = {.exporter = {.file = {.path = arguments[1], .resource = resource},
                                                  .collector = std::move(*collector)}}});
    for (const char* const text : {"user-1042", "1", "42", "null", "\"quoted\"", R"({"a": 1})", "o'brien\\",
                                   "\xc3\xa9 \xe3\x83\xad\xe3\x83\x83\xe3\x82\xaf", "a=b,c%20d"})
        record(tracer, text);
    tracer.start_trace("of nobody").outputs(nullptr);
    if (!tracer.flush(std::chrono::seconds(30)) || tracer.account().failed != 0)
        return std::fprintf(stderr, "%s\n", tracer.last_error().message().c_str()), 1;
    return 0;
}
