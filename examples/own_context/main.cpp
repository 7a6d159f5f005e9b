// SPDX-License-Identifier: Apache-2.0
// Two conversations take turns in an event loop. Their spans are kept apart.
#include "event_loop.hpp"
#include <mlflow/trace.hpp>

#include <cstdio>
#include <memory>

namespace {

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::schema<mt::required<mt::user>>, conversation_context, mt::memory_exporter>;

struct conversation {
    tracer_type& tracer;
    event_loop& loop;
    mt::user user;
    tracer_type::trace trace; // ends with the last callback that holds it
    int turn = 0;
};

void answer(const std::shared_ptr<conversation>& one) {
    auto span = one->tracer.start_span("turn"); // its parent is the span of this conversation
    span.inputs(one->turn).attribute("user", one->user);
    if (++one->turn < 3) one->loop.post([one] { answer(one); });
}

void begin(tracer_type& tracer, event_loop& loop, const mt::user& user) {
    loop.begin([&tracer, &loop, user] {
        answer(std::make_shared<conversation>(conversation{tracer, loop, user, tracer.start_trace("chat", user)}));
    });
}

} // namespace

int main() {
    tracer_type tracer;
    event_loop loop;
    begin(tracer, loop, mt::user{"user-1"});
    begin(tracer, loop, mt::user{"user-2"});
    loop.run();

    const auto traces = tracer.exporter().take();
    bool apart = traces.size() == 2;
    for (const auto& trace : traces) {
        std::printf("%s: %zu spans\n", trace.metadata["mlflow.trace.user"].c_str(), trace.spans.size());
        for (const auto& span : trace.spans)
            apart = apart && (span.name == "chat" || span.attributes["user"] == trace.metadata["mlflow.trace.user"]);
        apart = apart && trace.spans.size() == 4;
    }
    return apart && tracer.refused_values() == 0 ? 0 : 1;
}
