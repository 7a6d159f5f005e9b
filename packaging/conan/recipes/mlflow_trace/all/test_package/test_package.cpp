// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#ifdef WITH_BEAST
#include <mlflow/trace/transports/beast.hpp>
#endif

namespace mt = mlflow::trace;

int main() {
#ifdef WITH_BEAST
    mt::beast_transport transport(*mt::endpoint::parse("https://127.0.0.1:9"), {});
#endif
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter> tracer;
    { auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::session{"session-1"}); }
    return tracer.account().exported == 1 ? 0 : 1;
}
