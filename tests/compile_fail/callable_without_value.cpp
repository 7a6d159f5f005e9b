// SPDX-License-Identifier: Apache-2.0
// error: this callable returns nothing
#include <mlflow/trace.hpp>

#include <string>

namespace mt = mlflow::trace;
void use(mt::tracer<>& tracer, std::string& text) {
#ifdef TWIN
    tracer.start_span("span").inputs(mt::arg("value", [&] { return text; }));
#else
    tracer.start_span("span").inputs(mt::arg("value", [&] { text.clear(); }));
#endif
}
