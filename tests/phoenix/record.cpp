// SPDX-License-Identifier: Apache-2.0
// Turns of several sessions, sent to the URL given: what each session adds up to is printed as JSON lines.
#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

namespace mt = mlflow::trace;

using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using to_phoenix = mt::otlp_exporter<mt::beast_transport>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::batch<to_phoenix>>;

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    to_phoenix::options server;
    server.traces_endpoint = argv[1];
    server.receiver = mt::otlp_receiver::gen_ai;
    server.identity_on_every_span = true;
    tracer_type tracer({.exporter = {.exporter = server}});

    struct sums {
        std::uint64_t turns = 0, input = 0, output = 0;
    };
    std::map<std::string, sums> sessions;
    for (unsigned turn = 0; turn < 60; ++turn) {
        const std::string session = "session " + std::to_string(turn % 7);
        auto trace = tracer.start_trace("chat", mt::user::parse("user-" + std::to_string(turn % 3)).value(),
                                        mt::session::parse(session).value(), mt::span_type::agent);
        trace.inputs("question " + std::to_string(turn));
        auto late = trace.start_span("late", mt::span_type::task); // ends after its root
        {
            auto model = tracer.start_span("complete", mt::span_type::chat_model);
            model.model("gpt-4o-mini").provider("openai").usage({.input = 10 + turn, .output = 5 + turn % 4});
            model.inputs("question").outputs("answer");
        }
        tracer.start_span("find", mt::span_type::tool).inputs(mt::arg("q", turn)).outputs("found");
        trace.outputs("answer");
        trace.end();
        auto& sum = sessions[session];
        sum = {sum.turns + 1, sum.input + 10 + turn, sum.output + 5 + turn % 4};
    }
    tracer.flush(std::chrono::seconds(60));
    const auto spans = tracer.account();
    if (spans.exported != spans.started) return std::fputs(tracer.last_error().message().c_str(), stderr), 1;
    for (const auto& [session, sum] : sessions)
        std::puts(
            nlohmann::json{{"session", session}, {"turns", sum.turns}, {"input", sum.input}, {"output", sum.output}}
                .dump()
                .c_str());
}
