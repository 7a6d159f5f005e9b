// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/json.hpp>

#include <string_view>

std::string_view version_in_second();

// After a header of the client, whose names these must not shadow.
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/beast.hpp>

int main() { return version_in_second() == MLFLOW_TRACE_VERSION ? 0 : 1; }
