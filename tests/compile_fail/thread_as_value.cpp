// SPDX-License-Identifier: Apache-2.0
// error: this type cannot be recorded: specialise mlflow::trace::json_encoder
#include <mlflow/trace.hpp>

#include <sstream>
#include <thread>

namespace mt = mlflow::trace;
void use(mt::tracer<>& tracer, std::thread::id id) {
#ifdef TWIN
    tracer.start_span("span").inputs(mt::arg("value", (std::ostringstream() << id).str()));
#else
    tracer.start_span("span").inputs(mt::arg("value", id));
#endif
}
