// SPDX-License-Identifier: Apache-2.0
// error: a trace accepts checked values: mt::user, mt::session
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using tracer_type = mt::tracer<schema>;
#include <string>

void use(tracer_type& tracer, const std::string& user) {
#ifdef TWIN
    tracer.update_current_trace(mt::user::parse(user).value());
#else
    tracer.update_current_trace(user);
#endif
}
