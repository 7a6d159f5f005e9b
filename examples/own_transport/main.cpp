// SPDX-License-Identifier: Apache-2.0
// Delivers one trace to the MLflow server at MLFLOW_TRACKING_URI with a custom transport.
#include "curl_transport.hpp"
#include <mlflow/trace.hpp>

#include <cstdio>
#include <cstdlib>

namespace mt = mlflow::trace;
using mlflow_server = mt::mlflow_exporter<curl_transport>;

int main() {
    const char* uri = std::getenv("MLFLOW_TRACKING_URI");
    const mlflow_server::options options{.tracking_uri = uri ? uri : "http://127.0.0.1:5000",
                                         .experiment_name = "own transport"};
    mt::tracer<mt::open_schema, mt::thread_local_context, mlflow_server> tracer({.exporter = options});
    {
        auto trace = tracer.start_trace("chat", mt::user{"user-1042"}, mt::session{"session-7"});
        trace.inputs("How far is the moon?").outputs("About 384,000 km.");
    }
    const bool arrived = tracer.account().exported == 1;
    std::printf("%s\n", arrived ? tracer.exporter().experiment_url().c_str() : tracer.last_error().message().c_str());
    return arrived ? 0 : 1;
}
