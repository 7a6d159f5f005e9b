// SPDX-License-Identifier: Apache-2.0
// error: no member named 'in'|has no member named .in.
#include <mlflow/trace/client/fields.hpp>

namespace mt = mlflow::trace;
namespace field = mt::field;
auto listed() {
#ifdef TWIN
    return field::trace_id.in({"tr-1", "tr-2"});
#else
    return field::metadata("app.segment").in({"free", "pro"});
#endif
}
