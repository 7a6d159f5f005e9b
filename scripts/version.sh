#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the version of the library, which is defined only in config.hpp.
sed -n 's/^#define MLFLOW_TRACE_VERSION "\(.*\)"$/\1/p' "$(dirname -- "$0")/../include/mlflow/trace/config.hpp"
