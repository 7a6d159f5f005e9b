// SPDX-License-Identifier: Apache-2.0
// error: otlp_metrics: the keys must be metadata keys such as mt::session
#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/otlp_metrics.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <string_view>

namespace mt = mlflow::trace;

#ifdef TWIN
using by = mt::by_tag<"stage">;
#else
using by = std::string_view;
#endif

mt::otlp_metrics<mt::memory_transport, by> exporter;
