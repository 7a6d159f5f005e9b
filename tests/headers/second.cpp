// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <string_view>

std::string_view version_in_second();
std::string_view version_in_second() { return MLFLOW_TRACE_VERSION; }
