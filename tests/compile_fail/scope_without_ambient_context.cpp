// SPDX-License-Identifier: Apache-2.0
// error: this context policy has no current trace: pass the values to start_trace
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
using context = mt::thread_local_context;
#else
using context = mt::explicit_context;
#endif

void use(mt::tracer<mt::open_schema, context>& tracer) { auto scope = tracer.scope(mt::user{"user-1"}); }
