// SPDX-License-Identifier: Apache-2.0
// error: this type is declared but not defined here: include its header, such as
#include <mlflow/trace.hpp>
#ifdef TWIN
#include <mlflow/trace/exporters/otlp.hpp>
#endif
#include <mlflow/trace/transports/memory.hpp>

namespace mt = mlflow::trace;
mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::otlp_exporter<mt::memory_transport>>> tracer;
