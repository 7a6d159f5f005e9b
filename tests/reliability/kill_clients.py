#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of recording: what is lost by a spool, and by MLflow's own client as it is installed.

    kill_clients.py WRITER TOOL [--kills 10] [--rate 20] [--seconds 10] [--seed 1] [--output result.json]

Both record about so many traces in a second, and are killed between one and so many seconds after their first one.
WRITER and TOOL are the programs of spool_writer.cpp and examples/mlflow_spool. Needs MLflow, and MLFLOW_TRACKING_URI of
a server; each run has experiments of its own.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import mlflow
from kill import killed, numbers

URI = os.environ.get("MLFLOW_TRACKING_URI", "")
THREADS = 4


def stored(experiment: str) -> list[str]:
    found = mlflow.MlflowClient().get_experiment_by_name(experiment)
    traces = mlflow.search_traces(
        locations=[found.experiment_id], max_results=1_000_000, include_spans=False, return_type="list"
    )
    return [trace.info.tags["number"] for trace in traces if "number" in trace.info.tags]


def row(client: str, acknowledged: set[str], experiment: str) -> dict:
    found = stored(experiment)
    return {
        "client": client,
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - set(found)),
        "stored_twice": len(found) - len(set(found)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("writer")
    parser.add_argument("tool")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rate", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    lives = [chance.uniform(1, arguments.seconds) for _ in range(arguments.kills)]
    longest_pause = str(2 * THREADS * 1000 // arguments.rate)  # milliseconds, after each trace of a thread
    name = f"kill {time.time_ns()}"
    python = [sys.executable, str(pathlib.Path(__file__).with_name("python_writer.py"))]
    with tempfile.TemporaryDirectory() as folder:
        acknowledged = set()
        for kill, life in enumerate(lives):
            lines = killed([arguments.writer, folder, str(kill), URI, f"{name} spool", longest_pause], life)
            acknowledged.update(numbers(lines, "a"))
        subprocess.run([arguments.tool, "forward", folder, "--experiment", f"{name} spool"], check=True)
        rows = [row("mlflow_trace with spool", acknowledged, f"{name} spool")]
    acknowledged = set()
    for kill, life in enumerate(lives):
        lines = killed([*python, str(kill), URI, f"{name} python", longest_pause], life)
        acknowledged.update(numbers(lines, "a"))
    rows.append(row(f"mlflow {mlflow.__version__}, Python", acknowledged, f"{name} python"))

    result = {
        "kills": arguments.kills,
        "traces_per_second": arguments.rate,
        "longest_life_in_seconds": arguments.seconds,
        "seed": arguments.seed,
        "clients": rows,
    }
    print(json.dumps(result, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if rows[0]["acknowledged"] and not rows[0]["lost"] and not rows[0]["stored_twice"] else 1


if __name__ == "__main__":
    sys.exit(main())
