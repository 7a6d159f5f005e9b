// SPDX-License-Identifier: Apache-2.0
// error: each argument of mt::schema must be mt::required<key>
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
mt::tracer<mt::schema<mt::required<mt::user>>> tracer;
#else
mt::tracer<mt::schema<mt::user>> tracer;
#endif
