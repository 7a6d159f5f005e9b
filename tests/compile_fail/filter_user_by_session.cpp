// SPDX-License-Identifier: Apache-2.0
// error: no match for|invalid operands
#include <mlflow/trace/client/fields.hpp>

namespace mt = mlflow::trace;
namespace field = mt::field;
auto of(const mt::user& user, const mt::session& session) {
#ifdef TWIN
    static_cast<void>(session);
    return field::user == user;
#else
    static_cast<void>(user);
    return field::user == session;
#endif
}
