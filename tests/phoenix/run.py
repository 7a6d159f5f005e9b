# SPDX-License-Identifier: Apache-2.0
"""Has RECORD send turns to a real Arize Phoenix, which sums up by span, and compares what Phoenix says of each session
with what was recorded:  run.py RECORD

Phoenix is the program MLFLOW_TRACE_PHOENIX, or `phoenix` on the path; exits with 77 where there is none.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from servers import free_ports, listen, running  # noqa: E402

SESSIONS = """{ projects { edges { node { name recordCount sessions(first: 100) { edges { node {
    sessionId numTraces tokenUsage { prompt completion } costSummary { total { cost } } } } } } } } }"""


def ask(url: str, body: dict | None = None) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def project(url: str) -> dict:
    return ask(f"{url}/graphql", {"query": SESSIONS})["data"]["projects"]["edges"][0]["node"]


def main(record: str) -> None:
    phoenix = os.environ.get("MLFLOW_TRACE_PHOENIX") or shutil.which("phoenix")
    if not phoenix:
        print("SKIPPED: needs the program of the Python package arize-phoenix")
        sys.exit(77)
    port, grpc = free_ports(2)
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as name:
        environment = os.environ | {
            "PHOENIX_WORKING_DIR": name,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(grpc),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        with running([phoenix, "serve"], lambda: listen([port]), pathlib.Path(name) / "phoenix.log", env=environment):
            said = subprocess.run([record, f"{url}/v1/traces"], check=True, stdout=subprocess.PIPE, text=True).stdout
            recorded = {row.pop("session"): row for row in map(json.loads, said.splitlines())}
            turns = sum(row["turns"] for row in recorded.values())
            deadline = time.monotonic() + 60
            while project(url)["recordCount"] < 4 * turns and time.monotonic() < deadline:
                time.sleep(0.5)  # it stores what it has taken later
            while any(row["node"]["costSummary"]["total"]["cost"] is None for row in project(url)["sessions"]["edges"]):
                assert time.monotonic() < deadline, "no cost"
                time.sleep(0.5)
            stored = project(url)
            spans = ask(f"{url}/v1/projects/{stored['name']}/spans?limit=1000")["data"]
    assert stored["recordCount"] == 4 * turns == len(spans), stored["recordCount"]
    for span in spans:
        assert span["attributes"].get("session.id") in recorded and span["attributes"].get("user.id"), span
    found = {row["node"]["sessionId"]: row["node"] for row in stored["sessions"]["edges"]}
    assert found.keys() == recorded.keys(), (found.keys(), recorded.keys())
    prices = []  # of Phoenix, by session: input x + output y = cost
    for session, row in recorded.items():
        there = found[session]
        usage = (there["numTraces"], there["tokenUsage"]["prompt"], there["tokenUsage"]["completion"])
        assert usage == (row["turns"], row["input"], row["output"]), (session, usage, row)
        prices.append((row["input"], row["output"], there["costSummary"]["total"]["cost"]))
    (a, b, c), (d, e, f) = prices[:2]
    per_input, per_output = (c * e - b * f) / (a * e - b * d), (a * f - c * d) / (a * e - b * d)
    for given, generated, cost in prices:
        told = given * per_input + generated * per_output
        assert cost > 0 and abs(cost - told) < 1e-6 * cost, (cost, told)
    print(f"{len(spans)} spans of {turns} turns in {len(found)} sessions: turns, tokens and cost are the same")


main(*sys.argv[1:])
