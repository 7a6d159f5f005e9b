// SPDX-License-Identifier: Apache-2.0
// error: traced: the number of names must match the number of arguments
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
int use(mt::tracer<>& tracer) {
#ifdef TWIN
    return mt::traced<"add", "a", "b">(tracer, [](int a, int b) { return a + b; })(1, 2);
#else
    return mt::traced<"add", "a">(tracer, [](int a, int b) { return a + b; })(1, 2);
#endif
}
