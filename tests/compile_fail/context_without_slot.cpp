// SPDX-License-Identifier: Apache-2.0
// error: the context policy lacks a member: static mlflow::trace::context_slot\* slot
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
struct own {
#ifdef TWIN
    static mt::context_slot* slot() { return nullptr; }
#endif
};
mt::tracer<mt::open_schema, own> tracer;
