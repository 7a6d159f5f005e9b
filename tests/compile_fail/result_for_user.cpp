// SPDX-License-Identifier: Apache-2.0
// error: start_trace accepts checked values: convert a text with its key's parse
#include <mlflow/trace.hpp>

#include <string>

namespace mt = mlflow::trace;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;

void use(mt::tracer<schema>& tracer, const std::string& text) {
    const auto user = mt::user::parse(text);
#ifdef TWIN
    static_cast<void>(tracer.start_trace("chat", *user, mt::no_session));
#else
    static_cast<void>(tracer.start_trace("chat", user, mt::no_session));
#endif
}
