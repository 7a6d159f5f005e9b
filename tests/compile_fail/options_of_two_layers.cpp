// SPDX-License-Identifier: Apache-2.0
// error: these options match two layers of the tracer's exporter: nest the options as the exporters nest
#include <mlflow/trace.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
using exporter = mt::fan_out<mt::json_lines_exporter, mt::memory_exporter>;
#else
using exporter = mt::fan_out<mt::json_lines_exporter, mt::json_lines_exporter>;
#endif
mt::tracer<mt::open_schema, mt::thread_local_context, exporter> tracer(mt::json_lines_exporter::options{
    .path = "traces.jsonl"});
