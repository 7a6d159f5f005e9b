// SPDX-License-Identifier: Apache-2.0
// error: the same key is passed twice to start_trace
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using tracer_type = mt::tracer<schema>;

void use(tracer_type& tracer) {
#ifdef TWIN
    auto trace = tracer.start_trace("chat", mt::session{"s"}, mt::user{"u"});
#else
    auto trace = tracer.start_trace("chat", mt::session{"s"}, mt::user{"u"}, mt::user{"v"});
#endif
}
