// SPDX-License-Identifier: Apache-2.0
// error: spool: retries by itself and keeps rejected spans; remove retry
// recording only: where the exporter is made; a tracer that is off makes none
#include <mlflow/trace.hpp>
#include <mlflow/trace/spool/spool.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
using exporter = mt::spool<mt::memory_exporter>;
#else
using exporter = mt::spool<mt::retry<mt::memory_exporter>>;
#endif
mt::tracer<mt::open_schema, mt::thread_local_context, exporter> tracer;
