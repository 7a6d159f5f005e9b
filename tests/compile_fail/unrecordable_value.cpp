// SPDX-License-Identifier: Apache-2.0
// error: this type cannot be recorded: specialise mlflow::trace::json_encoder
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
struct opaque {};
void use(mt::tracer<>& tracer) {
#ifdef TWIN
    tracer.start_span("span").inputs(1);
#else
    tracer.start_span("span").inputs(opaque{});
#endif
}
