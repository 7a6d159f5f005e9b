#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs clang-tidy, as .clang-tidy sets it up, over every header and the examples.
#
#   sh scripts/tidy.sh [examples/NAME/main.cpp ...]      with names, over these alone
#
# Environment: CLANG_TIDY (default clang-tidy-19).
set -eu
cd "$(dirname -- "$0")/.."

mkdir -p build
headers=build/tidy.cpp
(cd include && find mlflow -name '*.hpp' | LC_ALL=C sort | sed 's/.*/#include <&>/') >"$headers"
[ $# -gt 0 ] || set -- "$headers" examples/*/main.cpp

status=0
for file in "$@"; do
    echo "$file"
    "${CLANG_TIDY:-clang-tidy-19}" --quiet "$file" -- -std=c++20 -pthread -I include -I . \
        -DBOOST_ASIO_HAS_CO_AWAIT -DBOOST_ASIO_HAS_STD_COROUTINE -DMLFLOW_TRACE_EXAMPLES_DIR='"examples"' \
        -DMLFLOW_SESSIONS_READS_GZIP -DMLFLOW_SESSIONS_READS_ZSTD || status=1
done
exit $status
