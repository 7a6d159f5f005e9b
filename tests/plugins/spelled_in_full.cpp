// SPDX-License-Identifier: Apache-2.0
#define MLFLOW_TRACE_SPELLED_IN_FULL
#include "plugin.hpp"

bool starts_inside(plugin_tracer& tracer) { return tracer.start_span("there").recording(); }
