// SPDX-License-Identifier: Apache-2.0
// error: tracking_url
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/memory.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
mt::mlflow_exporter<mt::memory_transport>::options options{.tracking_uri = "http://h"};
#else
mt::mlflow_exporter<mt::memory_transport>::options options{.tracking_url = "http://h"};
#endif
