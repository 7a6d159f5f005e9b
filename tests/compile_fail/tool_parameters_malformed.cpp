// SPDX-License-Identifier: Apache-2.0
// error: the_parameters_of_a_tool_are_a_JSON_schema_that_is_an_object
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/chat.hpp>

namespace mt = mlflow::trace;
void use() {
#ifdef TWIN
    mt::tool_definition price("price", "What a ride costs", R"({"type": "object"})");
#else
    mt::tool_definition price("price", "What a ride costs", R"({"type": "object")");
#endif
}
