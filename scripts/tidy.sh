#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs clang-tidy, as .clang-tidy sets it up, over every header and the examples. Those for devices need
# arm-none-eabi-g++ for its headers.
#
#   sh scripts/tidy.sh [examples/NAME/main.cpp ...]      with names, over these alone
#
# Environment: CLANG_TIDY (default clang-tidy-19).
set -eu
cd "$(dirname -- "$0")/.."

mkdir -p build
headers=build/tidy.cpp
(cd include && find mlflow -name '*.hpp' | LC_ALL=C sort | sed 's/.*/#include <&>/') >"$headers"
[ $# -gt 0 ] || set -- "$headers" examples/*/main.cpp examples/embedded/*.cpp

# tidy FILE OPTIONS OF THE COMPILER...
tidy() {
    echo "$1"
    file=$1
    shift
    "${CLANG_TIDY:-clang-tidy-19}" --quiet $checks "$file" -- -std=c++20 -I include "$@" || status=1
}

status=0
for file in "$@"; do
    case $file in
    examples/embedded/*) # registers have fixed addresses; text that a server owns is a view on a device
        checks=--checks=-performance-no-int-to-ptr,-performance-move-const-arg
        tidy "$file" --target=arm-none-eabi -mcpu=cortex-m3 -mfloat-abi=soft -ffreestanding -fno-exceptions -fno-rtti \
            -DSERIAL_NUMBER=1 $(arm-none-eabi-g++ -mcpu=cortex-m3 -mthumb -x c++ -E -v /dev/null 2>&1 |
                sed -n 's,^ \(/.*/arm-none-eabi/include.*\),-isystem \1,p')
        ;;
    *)
        checks=
        tidy "$file" -pthread -I . -DBOOST_ASIO_HAS_CO_AWAIT -DBOOST_ASIO_HAS_STD_COROUTINE \
            -DMLFLOW_TRACE_EXAMPLES_DIR='"examples"' -DMLFLOW_SESSIONS_READS_GZIP -DMLFLOW_SESSIONS_READS_ZSTD
        ;;
    esac
done
exit $status
