// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

int main() { return MLFLOW_TRACE_VERSION[0] != '\0' ? 0 : 1; }
