// SPDX-License-Identifier: Apache-2.0
// The same work without recording (-DPLAIN) and with a tracer that is off.
#ifndef PLAIN
#include <mlflow/trace.hpp>
#endif

extern "C" {
int generate(const char* message, int count);
const char* describe(const char* message); // dear, and only for the recording
int work_spans(const char* message);
int work_throwing(const char* message);
int work_traced(const char* message, int count);
}

#ifdef PLAIN

int work_spans(const char* message) {
    int answer = 0;
    for (int i = 0; i < 3; ++i) answer += generate(message, i);
    return answer;
}

int work_throwing(const char* message) {
    const int answer = generate(message, 1);
    if (answer < 0) throw answer;
    return answer;
}

int work_traced(const char* message, int count) { return generate(message, count) + 1; }

#else

namespace mt = mlflow::trace;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using off = mt::tracer<schema, mt::thread_local_context, mt::json_lines_exporter, mt::record_nothing>;
static off tracer;

int work_spans(const char* message) {
    auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::session{"session-1"}, mt::span_type::agent);
    trace.inputs(mt::arg("message", message), mt::arg("description", [&] { return describe(message); }));
    int answer = 0;
    for (int i = 0; i < 3; ++i) {
        auto span = tracer.start_span("generate", mt::span_type::llm);
        span.model("m").attribute("i", i).usage({.input = 1, .output = 2});
        answer += generate(message, i);
        span.outputs(answer);
    }
    trace.outputs(answer);
    trace.set(mt::tag("key", "value"));
    return answer;
}

int work_throwing(const char* message) {
    auto span = tracer.start_span("generate");
    return span.run([&] {
        const int answer = generate(message, 1);
        if (answer < 0) throw answer;
        return answer;
    });
}

int work_traced(const char* message, int count) {
    auto traced = mt::traced<"generate", "message", "count">(
        tracer, [](const char* text, int times) { return generate(text, times) + 1; });
    return traced(message, count);
}

#endif
