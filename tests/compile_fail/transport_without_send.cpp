// SPDX-License-Identifier: Apache-2.0
// error: the transport lacks a member: .*send
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
struct own {
    struct options {};
    own(mt::endpoint, options) {}
#ifdef TWIN
    mt::result<mt::http_response> send(const mt::http_request&) { return mt::http_response{}; }
#endif
};
mt::mlflow_exporter<own> exporter;
