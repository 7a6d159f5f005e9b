// SPDX-License-Identifier: Apache-2.0
// error: this range can be read only once, .* record a container
#include <mlflow/trace.hpp>

#include <iterator>
#include <sstream>
#include <vector>

namespace mt = mlflow::trace;
struct rest_of_input {
    std::istream_iterator<int> from;
    std::istream_iterator<int> begin() const { return from; }
    std::istream_iterator<int> end() const { return {}; }
};
void use(mt::tracer<>& tracer, const rest_of_input& rest) {
#ifdef TWIN
    tracer.start_span("span").inputs(mt::arg("value", std::vector<int>(rest.begin(), rest.end())));
#else
    tracer.start_span("span").inputs(mt::arg("value", rest));
#endif
}
