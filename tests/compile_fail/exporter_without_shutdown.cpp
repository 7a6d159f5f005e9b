// SPDX-License-Identifier: Apache-2.0
// error: the exporter has flush, shutdown or account, but not all of deferring_exporter
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
struct own {
    mt::export_result export_traces(mt::trace_batch&) { return {}; }
    bool flush(std::chrono::steady_clock::time_point) { return true; }
#ifdef TWIN
    bool shutdown(std::chrono::steady_clock::time_point) { return true; }
    mt::span_account account() { return {}; }
#endif
};
mt::tracer<mt::open_schema, mt::thread_local_context, own> tracer;
