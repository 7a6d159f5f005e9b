// SPDX-License-Identifier: Apache-2.0
// error: given_text
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/chat.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
const mt::tool_call call{.id = "call-1", .name = "price", .arguments = "{}"};
#else
const mt::tool_call call{.id = "call-1", .arguments = "{}"};
#endif
