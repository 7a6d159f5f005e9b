// SPDX-License-Identifier: Apache-2.0
// error: the key of an attribute at compile time must be ASCII
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;

void record(mt::tracer<mt::open_schema>& tracer) {
#ifdef TWIN
    tracer.start_span("span").attribute<"app.cafe">(1);
#else
    tracer.start_span("span").attribute<"app.caf\u00e9">(1);
#endif
}
