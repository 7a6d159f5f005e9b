// SPDX-License-Identifier: Apache-2.0
// error: MLflow's filters have no OR: mt::any_of
#include <mlflow/trace/client/fields.hpp>

namespace mt = mlflow::trace;
namespace field = mt::field;
auto either(const mt::user& a, const mt::user& b) {
#ifdef TWIN
    return field::user == a && field::user != b;
#else
    return field::user == a || field::user == b;
#endif
}
