// SPDX-License-Identifier: Apache-2.0
// error: the library writes this attribute itself: use inputs
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;

void record(mt::tracer<mt::open_schema>& tracer) {
#ifdef TWIN
    tracer.start_span("span").attribute<"app.spanInputs">(1);
#else
    tracer.start_span("span").attribute<"mlflow.spanInputs">(1);
#endif
}
