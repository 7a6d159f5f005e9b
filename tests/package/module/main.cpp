// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string>
import mlflow.trace.beast;

namespace mt = mlflow::trace;

using segment = mt::key<"app.segment", mt::one_of<"free", "pro">>;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::optional<segment>>;

// Nobody listens there: a program that links is what is shown, and one that sends.
int main() {
    mt::tracer<schema, mt::thread_local_context, mt::memory_exporter> tracer;
    auto answer = mt::traced<"answer", "user", "session", "message">(
        tracer, [](mt::user, mt::session, std::string message) { return "You said: " + message; });
    answer(mt::user{"user-1"}, mt::session{"session-1"}, "hello");
    {
        auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::session{"session-1"}, segment{"pro"});
    }

    mt::beast_transport transport(*mt::endpoint::parse("https://127.0.0.1:9"), {});
    const auto reply = transport.send({.target = "/", .timeout = std::chrono::seconds(5)});
    return tracer.account().exported == 2 && !reply.has_value() ? 0 : 1;
}
