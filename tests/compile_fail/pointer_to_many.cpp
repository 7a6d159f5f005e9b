// SPDX-License-Identifier: Apache-2.0
// error: this pointer has no size: record a std::span
#include <mlflow/trace.hpp>

#include <memory>
#include <span>

namespace mt = mlflow::trace;
void use(mt::tracer<>& tracer, const std::unique_ptr<int[]>& numbers) {
#ifdef TWIN
    tracer.start_span("span").inputs(mt::arg("value", std::span(numbers.get(), 3)));
#else
    tracer.start_span("span").inputs(mt::arg("value", numbers));
#endif
}
