// SPDX-License-Identifier: Apache-2.0
// error: this type cannot be recorded: specialise mlflow::trace::json_encoder
#include <mlflow/trace.hpp>

#include <any>
#include <vector>

namespace mt = mlflow::trace;
void use(mt::tracer<>& tracer, const std::vector<std::any>& values) {
#ifdef TWIN
    tracer.start_span("span").inputs(mt::arg("value", std::any_cast<int>(values.at(0))));
#else
    tracer.start_span("span").inputs(mt::arg("value", values));
#endif
}
