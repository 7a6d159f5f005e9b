#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What recording costs a web server: chat_server with tracing on and off, in turns, under load of ApacheBench (`ab`).

    chat_server.py CHAT_SERVER [ROUNDS [REQUESTS]]

Both servers run all the time, and load goes to one of them at a time: off, on, off, on, … The noise is what two
halves of the rounds without tracing differ by. MLFLOW_TRACKING_URI sends the traces to MLflow; without it they go to a
file. Build the server in Release.
"""

import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile

server, rounds, requests = sys.argv[1], int((sys.argv[2:] + [11])[0]), int((sys.argv[3:] + [4000])[0])


def load(port: int, body: str) -> tuple[float, float]:
    """Requests per second, and the 99th percentile in milliseconds."""
    command = ["ab", "-q", "-k", "-n", str(requests), "-c", "8", "-p", body, "-T", "application/json"]
    command += ["-H", "X-User-ID: user-1042", "-H", "X-Session-ID: session-7", "-H", "X-Request-ID: r-1"]
    said = subprocess.run([*command, f"http://127.0.0.1:{port}/chat"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or not re.search(rf"Complete requests: +{requests}\n", said):
        sys.exit(said)
    return float(re.search(r"Requests per second: +([\d.]+)", said)[1]), float(re.search(r"99% +(\d+)", said)[1])


with tempfile.TemporaryDirectory() as folder:
    body = pathlib.Path(folder) / "body.json"
    body.write_text('{"message":"Where can I park?"}')
    programs, ports = {}, {}
    for name in ("off", "on"):
        programs[name] = subprocess.Popen(
            [os.path.abspath(server), "0"], cwd=folder, env=os.environ | {"CHAT_TRACING": name}, stdout=subprocess.PIPE, text=True
        )
        ports[name] = int(programs[name].stdout.readline().split("http://127.0.0.1:")[1].split(",")[0])
    figures = {"off": [], "on": []}
    for name in ("off", "on"):
        load(ports[name], str(body))  # warm
    for number in range(rounds):
        for name in ("off", "on") if number % 2 == 0 else ("on", "off"):
            figures[name].append(load(ports[name], str(body)))
    for name in ("off", "on"):
        programs[name].send_signal(signal.SIGTERM)
        said = programs[name].communicate(timeout=120)[0].strip()
        throughput, latency = (statistics.median(column) for column in zip(*figures[name]))
        print(f"{name:4} {throughput:9.0f} requests/s   p99 {latency:6.1f} ms   ({said})")
    pairs = [on[0] / off[0] for on, off in zip(figures["on"], figures["off"])]
    off = figures["off"]
    halves = [statistics.median(column) for half in (off[::2], off[1::2]) for column in zip(*half)]
    print(f"throughput on/off: median {statistics.median(pairs):.3f}, {min(pairs):.3f} to {max(pairs):.3f} by round")
    print(f"noise (off/off): throughput {halves[2] / halves[0]:.3f}, p99 {halves[1]:.1f} and {halves[3]:.1f} ms")
