// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/compiled.hpp>

#include <chrono>

#ifdef BOOST_ASIO_VERSION
#error "Boost is included by who wants it compiled once"
#endif

namespace mt = mlflow::trace;

using traces = mt::tracer<mt::open_schema, mt::thread_local_context, mt::to_mlflow<mt::beast_transport>>;

// Nobody listens there: a program that links is what is shown, and one that sends.
int main() {
    traces recorded(mt::mlflow_exporter<mt::beast_transport>::options{.tracking_uri = "http://127.0.0.1:9"});
    recorded.start_trace("hello").end();
    recorded.shutdown(std::chrono::milliseconds(500));
    const auto spans = recorded.account();
    return spans.started == 1 && spans.exported == 0 ? 0 : 1;
}
