// SPDX-License-Identifier: Apache-2.0
// error: not in the tracer.s schema: add mt::optional<key>
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using tracer_type = mt::tracer<schema>;

void use(tracer_type& tracer) {
#ifdef TWIN
    tracer.update_current_trace(mt::user{"u"});
#else
    tracer.update_current_trace(segment{"pro"});
#endif
}
