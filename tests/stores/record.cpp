// SPDX-License-Identifier: Apache-2.0
// Records traces on a server that takes no OTLP spans, and prints what they are, a JSON line each. Sends every batch
// twice, as a retry does.
#include <mlflow/trace.hpp>
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <string_view>
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

// A service that continues the trace of another one delivers its spans first.
void record_across_processes(const twice::options& server) {
    using schema = mt::schema<mt::propagated<mt::required<mt::user>>, mt::propagated<mt::required<mt::session>>>;
    using process = mt::tracer<schema, mt::thread_local_context, twice>;
    const mt::propagator<schema, mt::trust_network> wire({.hosts = {"*"}});
    process front({.exporter = server}), back({.exporter = server});
    auto trace = front.start_trace("front", mt::user{"user-1042"}, mt::session{"s"}, mt::tag{"of", "front"});
    trace.inputs("asked");
    std::multimap<std::string, std::string> headers;
    wire.inject(trace, "agent", [&](std::string_view name, std::string_view value) { headers.emplace(name, value); });
    back.start_trace("back", wire.extract(headers), mt::anonymous, mt::no_session, mt::tag{"of", "back"})
        .inputs("asked by the front end");
    std::puts(nlohmann::json{{"across", trace.trace_id().mlflow_id().view()}}.dump().c_str());
}

} // namespace

int main() {
    auto server = mt::from_environment<twice>();
    if (!server) return std::fprintf(stderr, "%s\n", server.error().message().c_str()), 1;
    server->on_notice = nullptr;
    record_across_processes(*server);
    server->on_notice = twice::options{}.on_notice; // told once
    tracer_type tracer({.exporter = std::move(*server)});
    for (const char* const text :
         {"user-1042", "1", "null", "\"quoted\"", R"({"a": 1})", "o'brien\\", "\xc3\xa9 \xe3\x83\xad"})
        record(tracer, text);
    tracer.start_trace("of nobody").set_status(mt::status::error, "no answer");
    const auto account = tracer.account();
    if (account.exported == account.started) return 0;
    return std::fprintf(stderr, "%s\n", tracer.last_error().message().c_str()), 1;
}
