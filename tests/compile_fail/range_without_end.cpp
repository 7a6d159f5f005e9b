// SPDX-License-Identifier: Apache-2.0
// error: this range is infinite: record a part of it, such as std::views::take
#include <mlflow/trace.hpp>

#include <iterator>
#include <vector>

namespace mt = mlflow::trace;
struct samples {
    std::vector<int> ring;
    auto begin() const { return ring.begin(); }
#ifdef TWIN
    auto end() const { return ring.end(); }
#else
    std::unreachable_sentinel_t end() const { return {}; }
#endif
};
void use(mt::tracer<>& tracer, const samples& values) { tracer.start_span("span").inputs(mt::arg("value", values)); }
