// SPDX-License-Identifier: Apache-2.0
// error: a raw pointer is not dereferenced: record \*pointer
#include <mlflow/trace.hpp>

#include <string>

namespace mt = mlflow::trace;
void use(mt::tracer<>& tracer, const std::string* text) {
#ifdef TWIN
    tracer.start_span("span").inputs(mt::arg("value", *text));
#else
    tracer.start_span("span").inputs(mt::arg("value", text));
#endif
}
