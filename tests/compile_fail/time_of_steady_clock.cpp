// SPDX-License-Identifier: Apache-2.0
// error: a time point of this clock .* record the duration between two
#include <mlflow/trace.hpp>

#include <chrono>

namespace mt = mlflow::trace;
void use(mt::tracer<>& tracer, std::chrono::steady_clock::time_point start,
         std::chrono::steady_clock::time_point end) {
#ifdef TWIN
    tracer.start_span("span").inputs(mt::arg("value", end - start));
#else
    tracer.start_span("span").inputs(mt::arg("value", end));
#endif
}
