// SPDX-License-Identifier: Apache-2.0
// error: the recording policy lacks a member: bool sample
// recording only: of another recording policy
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
struct own {
#ifdef TWIN
    bool sample(const mt::trace_start&) const { return true; }
#endif
};
mt::tracer<mt::open_schema, mt::thread_local_context, mt::json_lines_exporter, own> tracer;
