#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the core with clang and libc++, and runs the unit tests that need no other library.
#
#   sh tests/libcxx/run.sh [arguments of ctest]
#
# Environment: BUILD (default build/libcxx).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
. "$root/scripts/packages.sh"

need clang++-19 clang-19
need cmake cmake
need ninja ninja-build
for package in libc++-19-dev libc++abi-19-dev googletest; do need_package $package; done
install_missing

build=${BUILD:-$root/build/libcxx}
CXX=clang++-19 quietly cmake -S "$root/tests/libcxx/unit" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_CXX_FLAGS_DEBUG=-g0
quietly cmake --build "$build"
ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel 2 "$@"
