// SPDX-License-Identifier: Apache-2.0
// error: a linked prompt belongs to one: pass it to start_trace
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/linked_prompt.hpp>

namespace mt = mlflow::trace;
void use(mt::tracer<>& tracer) {
#ifdef TWIN
    auto trace = tracer.start_trace("chat", mt::linked_prompt("greeting", 1));
#else
    auto scope = tracer.scope(mt::linked_prompt("greeting", 1));
#endif
}
