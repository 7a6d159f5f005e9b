// SPDX-License-Identifier: Apache-2.0
// error: the exporter's last_error\(\) must be const and return an mlflow::trace::error
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
struct own {
    mt::export_result export_traces(mt::trace_batch&) { return {}; }
#ifdef TWIN
    mt::error last_error() const { return {}; }
#else
    mt::error last_error() { return {}; }
#endif
};
mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<own>> tracer;
