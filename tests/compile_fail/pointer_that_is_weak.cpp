// SPDX-License-Identifier: Apache-2.0
// error: may have been destroyed: record its lock\(\)
#include <mlflow/trace.hpp>

#include <memory>

namespace mt = mlflow::trace;
void use(mt::tracer<>& tracer, const std::weak_ptr<int>& number) {
#ifdef TWIN
    tracer.start_span("span").inputs(mt::arg("value", number.lock()));
#else
    tracer.start_span("span").inputs(mt::arg("value", number));
#endif
}
