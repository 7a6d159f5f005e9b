// SPDX-License-Identifier: Apache-2.0
// error: the exporter lacks a member: export_result export_traces
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
struct own {
#ifdef TWIN
    mt::export_result export_traces(mt::trace_batch&) { return {}; }
#else
    mt::export_result export_trace(mt::trace_batch&) { return {}; }
#endif
};
mt::tracer<mt::open_schema, mt::thread_local_context, own> tracer;
