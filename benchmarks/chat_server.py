#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What recording costs a web server: chat_server with tracing on and off, in turns, under load.

    chat_server.py CHAT_SERVER [--rounds N] [--requests N]               as fast as it can, by ApacheBench (`ab`)
    chat_server.py CHAT_SERVER --rate N [--rounds N] [--requests N]      N requests per second, by `hey`

Both servers run all the time, and load goes to one of them at a time: off, on, on, off, … The noise is what the even
and the odd rounds without tracing differ by. As fast as it can, the load generator and the thread that delivers the
traces compete with the server for the machine; at a rate below that, what counts is the latency and the CPU time.
MLFLOW_TRACKING_URI sends the traces to MLflow; without it they go to a file. Build the server in Release.
"""

import argparse
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("server")
arguments.add_argument("--rounds", type=int, default=11)
arguments.add_argument("--requests", type=int, default=4000)
arguments.add_argument("--rate", type=int)
options = arguments.parse_args()
headers = ["-H", "X-User-ID: user-1042", "-H", "X-Session-ID: session-7", "-H", "X-Request-ID: r-1"]
AT_ONCE = 8


def load(port: int, body: str) -> tuple[float, float]:
    """Requests per second, and the 99th percentile in milliseconds."""
    if options.rate:
        command = ["hey", "-n", str(options.requests), "-c", str(AT_ONCE), "-q", str(options.rate / AT_ONCE), "-m", "POST"]
        command += ["-D", body, "-T", "application/json"]
        succeeded, rate, latency, unit = r"\[200\]\s+(\d+) responses", r"Requests/sec:\s+([\d.]+)", r"99% in ([\d.]+)", 1000
    else:
        command = ["ab", "-q", "-k", "-n", str(options.requests), "-c", str(AT_ONCE), "-p", body, "-T", "application/json"]
        succeeded, rate, latency, unit = r"Complete requests: +(\d+)", r"Requests per second: +([\d.]+)", r"99% +(\d+)", 1
    command += [*headers, f"http://127.0.0.1:{port}/chat"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or int(re.search(succeeded, said)[1]) != options.requests:
        sys.exit(said)
    return float(re.search(rate, said)[1]), float(re.search(latency, said)[1]) * unit


def cpu_seconds(process: int) -> float:
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


with tempfile.TemporaryDirectory() as folder:
    body = pathlib.Path(folder) / "body.json"
    body.write_text('{"message":"Where can I park?"}')
    programs, ports = {}, {}
    for name in ("off", "on"):
        programs[name] = subprocess.Popen(
            [os.path.abspath(options.server), "0"], cwd=folder, env=os.environ | {"CHAT_TRACING": name}, stdout=subprocess.PIPE, text=True
        )
        ports[name] = int(programs[name].stdout.readline().split("http://127.0.0.1:")[1].split(",")[0])
    figures = {"off": [], "on": []}
    for name in ("off", "on"):
        load(ports[name], str(body))  # warm
    cpu = {name: cpu_seconds(program.pid) for name, program in programs.items()}
    for number in range(options.rounds):
        for name in ("off", "on") if number % 2 == 0 else ("on", "off"):
            figures[name].append(load(ports[name], str(body)))
    for name in ("off", "on"):
        spent = (cpu_seconds(programs[name].pid) - cpu[name]) / (options.rounds * options.requests) * 1e6
        programs[name].send_signal(signal.SIGTERM)
        said = programs[name].communicate(timeout=120)[0].strip()
        throughput, latency = (statistics.median(column) for column in zip(*figures[name]))
        print(f"{name:4} {throughput:9.0f} requests/s   p99 {latency:6.1f} ms   {spent:5.0f} us of CPU each   ({said})")
    pairs = [on[0] / off[0] for on, off in zip(figures["on"], figures["off"])]
    off = figures["off"]
    halves = [statistics.median(column) for half in (off[::2], off[1::2]) for column in zip(*half)]
    print(f"throughput on/off: median {statistics.median(pairs):.3f}, {min(pairs):.3f} to {max(pairs):.3f} by round")
    print(f"noise (off/off): throughput {halves[2] / halves[0]:.3f}, p99 {halves[1]:.1f} and {halves[3]:.1f} ms")
