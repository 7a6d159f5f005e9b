// SPDX-License-Identifier: Apache-2.0
// error: user.*session|session.*user|no matching function|no known conversion|could not convert
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
void greet(const mt::session& session);
void use(const mt::user& user, const mt::session& session) {
#ifdef TWIN
    greet(session);
    static_cast<void>(user);
#else
    greet(user);
    static_cast<void>(session);
#endif
}
