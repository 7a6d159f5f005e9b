// SPDX-License-Identifier: Apache-2.0
// error: traced: give one name for each argument
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
int use(mt::tracer<>& tracer) {
#ifdef TWIN
    return mt::traced<"add", "a", "b">(tracer, [](int a, int b) { return a + b; })(1, 2);
#else
    return mt::traced<"add", "a">(tracer, [](int a, int b) { return a + b; })(1, 2);
#endif
}
