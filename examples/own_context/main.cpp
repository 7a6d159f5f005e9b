// SPDX-License-Identifier: Apache-2.0
// Two conversations take turns on one thread, and their spans stay apart.
#include "task_context.hpp"
#include <mlflow/trace.hpp>

#include <cstdio>
#include <memory>

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::schema<mt::required<mt::user>>, task_context, mt::memory_exporter>;

int main() {
    tracer_type tracer;
    task_queue queue;
    for (const char* id : {"user-1", "user-2"}) {
        const auto user = mt::user::parse(id).value();
        queue.add([&tracer, user, turn = 0, trace = std::make_shared<tracer_type::trace>()]() mutable {
            if (turn == 0) *trace = tracer.start_trace("chat", user);
            auto span = tracer.start_span("turn"); // inside the trace of this task
            span.inputs(turn).attribute("user", user);
            if (++turn < 3) return true;
            span.end();
            trace->end();
            return false;
        });
    }
    queue.run();

    bool apart = true;
    for (const auto& trace : tracer.exporter().take()) {
        std::printf("%s: %zu spans\n", trace.metadata["mlflow.trace.user"].c_str(), trace.spans.size());
        for (const auto& span : trace.spans)
            apart = apart && (span.name == "chat" || span.attributes["user"] == trace.metadata["mlflow.trace.user"]);
        apart = apart && trace.spans.size() == 4;
    }
    return apart ? 0 : 1;
}
