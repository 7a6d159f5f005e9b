// SPDX-License-Identifier: Apache-2.0
// Writes spans.csv with a custom exporter on a background thread.
#include "csv_exporter.hpp"
#include <mlflow/trace.hpp>

#include <chrono>
#include <cstdio>

namespace mt = mlflow::trace;

int main() {
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<csv_exporter>> tracer;
    {
        auto trace = tracer.start_trace("chat", mt::user{"user-1042"}, mt::session{"session-7"});
        auto span = tracer.start_span("generate", mt::span_type::llm);
        span.inputs("How far is the moon?").outputs("About 384,000 km.");
    }
    tracer.flush(std::chrono::seconds(5));
    std::printf("%llu spans are in spans.csv\n", static_cast<unsigned long long>(tracer.account().exported));
}
