// SPDX-License-Identifier: Apache-2.0
// error: a_tool_name_has_1_to_128_ascii_letters
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/chat.hpp>

namespace mt = mlflow::trace;
void use() {
#ifdef TWIN
    mt::tool_definition price("price", "What a ride costs", "{}");
#else
    mt::tool_definition price("What a ride costs", "price", "{}");
#endif
}
