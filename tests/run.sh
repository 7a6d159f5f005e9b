#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the tests: unit tests, and tests with a real MLflow server from PyPI.
#
#   sh tests/run.sh [arguments of ctest]      e.g. sh tests/run.sh -L unit
#
# Environment: CXX (compiler), BUILD (default build/tests, or build/tests-NAME if CXX is set to a compiler NAME),
# MLFLOW_TRACE_VENV (default build/venv), CMAKE_ARGS (further arguments for cmake, separated by spaces).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/packages.sh"

need "${CXX:-g++}" g++
need cmake cmake
need git git
need ninja ninja-build
need ab apache2-utils
need arm-none-eabi-g++ gcc-arm-none-eabi
need qemu-system-arm qemu-system-arm
need riscv64-unknown-elf-g++ gcc-riscv64-unknown-elf
need qemu-system-riscv32 qemu-system-misc
need stunnel4 stunnel4
need chromium chromium
need meson meson
need go golang-go
need pkg-config pkg-config
need valgrind valgrind
need strace strace
need_venv
for package in libgtest-dev libboost-dev libssl-dev libcurl4-openssl-dev nlohmann-json3-dev libcli11-dev zlib1g-dev \
    libzstd-dev libmosquitto-dev mosquitto mosquitto-clients libstdc++-arm-none-eabi-newlib; do
    need_package $package
done
install_missing

build=${BUILD:-$root/build/tests${CXX:+-${CXX##*/}}}
venv=${MLFLOW_TRACE_VENV:-$root/build/venv}
mkdir -p "$build"

stamp=$venv/.requirements
if ! cmp -s "$root/tests/requirements.txt" "$stamp"; then
    echo "Installing MLflow into $venv" >&2
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    quietly "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$root/tests/requirements.txt"
    cp "$root/tests/requirements.txt" "$stamp"
fi

# A newer Boost for the tests of coroutines, which run with both versions. It cannot be installed next to Debian's own.
boost=$root/build/boost-1.81
if [ ! -d "$boost" ] && command -v apt-get >/dev/null 2>&1; then
    mkdir -p "$boost.part"
    (cd "$boost.part" && quietly apt-get download libboost1.81-dev && dpkg -x libboost1.81-dev*.deb . &&
        rm libboost1.81-dev*.deb) && mv "$boost.part" "$boost" ||
        echo "libboost1.81-dev cannot be had: coroutines are tested with the installed Boost only" >&2
fi
[ ! -d "$boost" ] || CMAKE_ARGS="${CMAKE_ARGS:-} -DMLFLOW_TRACE_TEST_NEWER_BOOST=$boost/usr/include"

# A Debug build unless CMAKE_ARGS sets another type: the tests compile twice as fast as with optimisation.
quietly cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DMLFLOW_TRACE_BUILD_EXAMPLES=OFF \
    -DMLFLOW_TRACE_PYTHON="$venv/bin/python" ${CMAKE_ARGS:-}
cmake --build "$build"
ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel 3 "$@" # many wait for servers
