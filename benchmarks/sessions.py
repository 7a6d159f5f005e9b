# SPDX-License-Identifier: Apache-2.0
"""Time and peak memory of mlflow_sessions beside MLflow's Python client with pandas, on the same server and traces.

    python benchmarks/sessions.py PROGRAM EXPERIMENT USER

The server is that of MLFLOW_TRACKING_URI; tests/mlflow/_dataset.py fills it. Each task runs in a process of its own,
five times in turn; the best counts. "server" is the time of the same requests one after the other with nobody reading
the replies: what a server of one worker takes at least. With several connections a server of several workers is sooner.
"""

import json
import os
import resource
import subprocess
import sys
import time
import urllib.request

PYTHON = """
import json, sys, mlflow, pandas
experiment, task, user = sys.argv[1:]
where = f"metadata.`mlflow.trace.user` = '{user}'" if task == "user" else None
found = mlflow.search_traces(locations=[mlflow.get_experiment_by_name(experiment).experiment_id], filter_string=where,
                             max_results=10**6, include_spans=False, return_type="list")
rows = [{"id": t.info.trace_id, "user": t.info.trace_metadata.get("mlflow.trace.user"), "session": t.info.trace_metadata.get("mlflow.trace.session"),
         "duration": t.info.execution_duration, "time": t.info.request_time, "error": t.info.state.value == "ERROR",
         "tokens": json.loads(t.info.trace_metadata.get("mlflow.trace.tokenUsage", "{}")).get("input_tokens", 0)} for t in found]
frame = pandas.DataFrame(rows)
if task != "user":
    by = frame.groupby("session" if task == "sessions" else "user")
    by.agg({"time": ["min", "max"], "error": "sum", "tokens": "sum"}), by["duration"].quantile([.5, .95, .99]), by["duration"].mean()
print(len(rows))
"""


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds, and MiB at the peak."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    usage: resource.struct_rusage = os.wait4(process.pid, 0)[2]
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def of_server(experiment: str, where: str | None) -> float:
    uri = os.environ["MLFLOW_TRACKING_URI"]

    def ask(path: str, body: dict | None = None) -> bytes:
        data = json.dumps(body).encode() if body else None
        return urllib.request.urlopen(urllib.request.Request(uri + path, data, {"Content-Type": "application/json"})).read()

    found = json.loads(ask(f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={experiment}"))
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": found["experiment"]["experiment_id"]}}
    body = {"locations": [location], "max_results": 500} | ({"filter": where} if where else {})
    spent = 0.0
    while True:
        start = time.perf_counter()
        reply = ask("/api/3.0/mlflow/traces/search", body)
        spent += time.perf_counter() - start
        token = json.loads(reply[-200:].partition(b'"next_page_token":')[2].rstrip(b"}") or b'""')
        if not token:
            return spent
        body["page_token"] = token


def main() -> None:
    program, experiment, user = sys.argv[1:]
    where = f"metadata.`mlflow.trace.user` = '{user}'"
    tasks = {"user": ["export", "--user", user], "sessions": ["sessions", "--json"], "users": ["users", "--json"]}
    print("task      C++ s  4 connections s  Python s  server s   C++ MiB  4 connections MiB  Python MiB")
    for task, arguments in tasks.items():
        ours = [program, "--experiment", experiment, *arguments, "--connections"]
        commands = [[*ours, "1"], [*ours, "4"], [sys.executable, "-c", PYTHON, experiment, task, user]]
        rounds = [[measured(command) for command in commands] for _ in range(5)]
        one, four, python = (min(measurements) for measurements in zip(*rounds))
        server = min(of_server(experiment, where if task == "user" else None) for _ in range(3))
        print(f"{task:9}{one[0]:6.2f}{four[0]:17.2f}{python[0]:10.2f}{server:10.2f}{one[1]:10.1f}{four[1]:19.1f}{python[1]:12.1f}")


if __name__ == "__main__":
    main()
