// SPDX-License-Identifier: Apache-2.0
// error: no member named|has no member named
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
void use(mt::trace_data& finished) {
#ifdef TWIN
    static_cast<void>(finished.metadata("key"));
#else
    finished.set(mt::user{"other"});
#endif
}
