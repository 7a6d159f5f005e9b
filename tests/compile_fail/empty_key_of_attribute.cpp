// SPDX-License-Identifier: Apache-2.0
// error: the key of an attribute is empty
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;

void record(mt::tracer<mt::open_schema>& tracer) {
#ifdef TWIN
    tracer.start_span("span").attribute<"app">(1);
#else
    tracer.start_span("span").attribute<"">(1);
#endif
}
