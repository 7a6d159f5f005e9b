// SPDX-License-Identifier: Apache-2.0
// error: spool: must be inside the deferring exporter: batch<spool<...>>
// recording only: where the exporter is made; a tracer that is off makes none
#include <mlflow/trace.hpp>
#include <mlflow/trace/spool/spool.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
using exporter = mt::batch<mt::spool<mt::memory_exporter>>;
#else
using exporter = mt::spool<mt::batch<mt::memory_exporter>>;
#endif
mt::tracer<mt::open_schema, mt::thread_local_context, exporter> tracer;
