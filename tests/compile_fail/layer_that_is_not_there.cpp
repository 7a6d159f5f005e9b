// SPDX-License-Identifier: Apache-2.0
// error: no layer of the tracer's exporter has that type
// recording only: a tracer that is off has no exporter
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::memory_exporter>> tracer;
#ifdef TWIN
auto& found = tracer.get<mt::memory_exporter>();
#else
auto& found = tracer.get<mt::json_lines_exporter>();
#endif
