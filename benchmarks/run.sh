#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the benchmarks in Release and runs them: one table, and one JSON file.
#
#   sh benchmarks/run.sh [--quick] [--output FILE.json] [--opentelemetry DIR] [--plots] [--others]
#
#   --quick               21 repetitions instead of 101
#   --output FILE.json    default build/benchmarks/results.json
#   --opentelemetry DIR   where opentelemetry-cpp 1.x is installed, which is then measured in the same process
#   --plots               measures how cost grows too, draws docs/images/growth*.svg and fills in docs/performance.md
#   --others              also runs benchmark_context, benchmark_http, benchmark_propagation, benchmark_queue and
#                         benchmark_spool
#
# benchmarks/chat_server.py, compile.py, delivery.py and sessions.py measure programs, and say how to run them.
# Environment: CXX, BENCHMARK_PRIORITY (default `chrt -f 1` where that is permitted), MLFLOW_TRACE_PLOTS_VENV (default
# build/benchmarks/venv).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/packages.sh"

quick= opentelemetry= plots= others=
build=$root/build/benchmarks
output=$build/results.json
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=--quick ;;
    --output) output=$2 && shift ;;
    --opentelemetry) opentelemetry=$(CDPATH= cd -- "$2" && pwd) && shift ;;
    --plots) plots=yes ;;
    --others) others=yes ;;
    *) sed -n '/^# Builds/,/^set /{/^set /d;s/^# \{0,1\}//p;}' "$0" >&2 && exit 2 ;;
    esac
    shift
done

need "${CXX:-g++}" g++
need cmake cmake
need ninja ninja-build
need_package libjemalloc2
[ -z "$others" ] || for package in libboost-dev libssl-dev; do need_package $package; done
[ -z "$plots" ] || need_venv
install_missing || [ "$missing" = " libjemalloc2" ]

programs='benchmark_recording benchmark_growth benchmark_counted_malloc'
[ -z "$others" ] || programs="$programs benchmark_context benchmark_http benchmark_propagation benchmark_queue
    benchmark_spool"
quietly cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMLFLOW_TRACE_BUILD_BENCHMARKS=ON \
    -DMLFLOW_TRACE_BUILD_TESTS=OFF -DMLFLOW_TRACE_BUILD_EXAMPLES=OFF \
    -DMLFLOW_TRACE_OPENTELEMETRY_CPP="$opentelemetry"
# shellcheck disable=SC2086
quietly cmake --build "$build" --target $programs
bin=$build/benchmarks

priority=${BENCHMARK_PRIORITY-chrt -f 1}
$priority true 2>/dev/null || priority=
measured() { $priority "$@"; }

cpu=$(($(nproc) > 1 ? 1 : 0))
results=$build/runs
rm -rf "$results" && mkdir -p "$results"
echo 'Measuring with the malloc of the C library' >&2
measured "$bin/benchmark_recording" $quick --cpu $cpu >"$results/time.json"
echo 'Counting allocations' >&2
env LD_PRELOAD="$bin/libbenchmark_counted_malloc.so" "$bin/benchmark_recording" --cpu $cpu \
    >"$results/allocations.json"
for library in /usr/lib/*/libjemalloc.so.2 /usr/lib/libjemalloc.so.2; do
    [ -e "$library" ] || continue
    echo 'Measuring with jemalloc' >&2
    measured env LD_PRELOAD="$library" "$bin/benchmark_recording" $quick --cpu $cpu >"$results/jemalloc.json"
    break
done

if [ -n "$plots" ]; then
    echo 'Measuring how cost grows' >&2
    measured "$bin/benchmark_growth" $quick >"$results/growth.json"
    venv=${MLFLOW_TRACE_PLOTS_VENV:-$build/venv}
    if ! cmp -s "$root/benchmarks/requirements.txt" "$venv/.requirements"; then
        [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
        quietly "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            -r "$root/benchmarks/requirements.txt"
        cp "$root/benchmarks/requirements.txt" "$venv/.requirements"
    fi
fi

python3 "$root/benchmarks/report.py" "$results" --output "$output"
if [ -n "$plots" ]; then
    "$venv/bin/python" "$root/benchmarks/plots.py" "$results/growth.json" "$root/docs/images"
    python3 "$root/benchmarks/report.py" "$results" --page "$root/docs/performance.md"
fi
[ -z "$others" ] || for name in context http propagation queue spool; do
    printf '\n%s\n' "benchmark_$name"
    measured "$bin/benchmark_$name"
done
