// SPDX-License-Identifier: Apache-2.0
// Records traces on a server that takes no OTLP spans, and prints what they are, a JSON line each. Sends every batch
// twice, as a retry does.
#include <mlflow/trace.hpp>
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <limits>
#include <string>
#include <utility>

namespace {

namespace mt = mlflow::trace;

struct twice : mt::mlflow_exporter<mt::beast_transport> {
    using mlflow_exporter::mlflow_exporter;
    mt::export_result export_traces(mt::trace_batch& batch) {
        if (auto first = mlflow_exporter::export_traces(batch); !first.ok()) return first;
        return mlflow_exporter::export_traces(batch);
    }
};

using segment = mt::key<"app.segment">;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, twice>;

void record(tracer_type& tracer, const std::string& text) {
    auto trace = tracer.start_trace("chat " + text, *mt::user::parse(text), *mt::session::parse("s" + text),
                                    segment{"pro"}, *mt::client_request_id::parse("r" + text), mt::tag{"kind", text});
    const nlohmann::json said{{"trace", trace.trace_id().mlflow_id().view()}, {"text", text}};
    std::puts(said.dump().c_str());
    trace.inputs(mt::arg("message", text)).outputs(text);
    auto agent = tracer.start_span("agent", mt::span_type::agent);
    agent.usage({.input = 30, .output = 50}); // tells what its model tells too
    auto model = tracer.start_span("generate", mt::span_type::chat_model);
    model.usage({.input = 30, .output = 50}).cost({.input = 0.25, .output = 0.5});
    model.attribute("text", text).attribute("number", -0.5).attribute("yes", true).attribute("big", 1ULL << 62U);
    model.attribute("infinite", std::numeric_limits<double>::infinity());
    model.event("event", mt::arg("text", text), mt::arg("n", 7)).exception("std::runtime_error", text);
    model.link(trace.trace_id(), trace.id());
    model.end();
    agent.end();
    tracer.start_span("rank", mt::span_type::reranker).usage({.input = 1, .output = 2});
    auto late = tracer.start_span("late", mt::span_type::task);
    trace.end();
    late.attribute("text", text);
    late.end();
}

} // namespace

int main() {
    auto server = mt::from_environment<twice>();
    if (!server) return std::fprintf(stderr, "%s\n", server.error().message().c_str()), 1;
    tracer_type tracer({.exporter = std::move(*server)});
    for (const char* const text :
         {"user-1042", "1", "null", "\"quoted\"", R"({"a": 1})", "o'brien\\", "\xc3\xa9 \xe3\x83\xad"})
        record(tracer, text);
    tracer.start_trace("of nobody").set_status(mt::status::error, "no answer");
    const auto account = tracer.account();
    if (account.exported == account.started) return 0;
    return std::fprintf(stderr, "%s\n", tracer.last_error().message().c_str()), 1;
}
