// SPDX-License-Identifier: Apache-2.0
// error: too few arguments to function|no matching function for call to .*tool
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/chat.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
const auto answer = mt::message::tool("call-1", "7 euros");
#else
const auto answer = mt::message::tool("7 euros");
#endif
