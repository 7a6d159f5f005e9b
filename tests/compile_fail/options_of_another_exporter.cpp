// SPDX-License-Identifier: Apache-2.0
// error: these options match no layer of the tracer's exporter and no policy
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::json_lines_exporter>> tracer(
#else
mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::memory_exporter>> tracer(
#endif
    mt::json_lines_exporter::options{.path = "traces.jsonl"});
