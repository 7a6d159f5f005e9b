// SPDX-License-Identifier: Apache-2.0
// error: deployed: must be inside the deferring exporter: batch<deployed<...>>
// recording only: where the exporter is made; a tracer that is off makes none
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
using exporter = mt::batch<mt::deployed<mt::memory_exporter>>;
#else
using exporter = mt::deployed<mt::batch<mt::memory_exporter>>;
#endif
mt::tracer<mt::open_schema, mt::thread_local_context, exporter> tracer;
