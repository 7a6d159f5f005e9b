#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the chat application and runs it: sh examples/run.sh [arguments of the application]
# Its output files, such as traces.jsonl, are written to the current directory.
#
# Environment: CXX (compiler), BUILD (default build/examples, or build/examples-NAME if CXX is set to a compiler NAME).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/packages.sh"

need "${CXX:-g++}" g++
need cmake cmake
need ninja ninja-build
for package in libboost-dev libssl-dev nlohmann-json3-dev; do need_package $package; done
install_missing </dev/null

build=${BUILD:-$root/build/examples${CXX:+-${CXX##*/}}}
[ -x "$build/examples/chat" ] || echo "Building the examples into $build" >&2
quietly cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMLFLOW_TRACE_BUILD_TESTS=OFF </dev/null
quietly cmake --build "$build" --target chat </dev/null
exec "$build/examples/chat" "$@"
