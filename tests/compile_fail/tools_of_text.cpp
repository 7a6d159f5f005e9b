// SPDX-License-Identifier: Apache-2.0
// error: set_tools: each element must be an mt::tool_definition
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/chat.hpp>

#include <string>
#include <vector>

namespace mt = mlflow::trace;
void use(mt::tracer<>& tracer) {
    auto span = tracer.start_span("span");
#ifdef TWIN
    mt::set_tools(span, std::vector{mt::tool_definition("price", "", "{}")});
#else
    mt::set_tools(span, std::vector<std::string>{"price"});
#endif
}
