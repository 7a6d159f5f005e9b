# SPDX-License-Identifier: Apache-2.0
"""A server with several workspaces: what is recorded for one is found there, and in no other."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse

import mlflow
from _reading import check, check_same, finish

CHAT, SESSIONS = os.environ["MLFLOW_TRACE_CHAT"], os.environ["MLFLOW_TRACE_SESSIONS"]
SERVER = [sys.executable, str(pathlib.Path(__file__).with_name("server.py"))]
EXPERIMENT, OURS = "chat", "team-1"


def run(*command: str, workspace: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    where = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": EXPERIMENT}
    where |= {"MLFLOW_WORKSPACE": workspace} if workspace else {}
    return subprocess.run(command, env=clean | where, capture_output=True, text=True, timeout=120, check=False)


def traces_in(workspace: str) -> list:
    mlflow.set_workspace(workspace)
    found = mlflow.get_experiment_by_name(EXPERIMENT)
    return mlflow.search_traces(locations=[found.experiment_id], return_type="list", max_results=1000) if found else []


with tempfile.TemporaryDirectory() as folder:
    subprocess.run([*SERVER, "start", folder, "--enable-workspaces"], check=True)
    try:
        uri = json.loads((pathlib.Path(folder) / "server.json").read_text())["uri"]
        mlflow.set_tracking_uri(uri)
        for name in (OURS, "team-2"):
            mlflow.create_workspace(name)

        done = run(CHAT, workspace=OURS)
        check_same(done.returncode, 0, done.stderr)
        check(f"?workspace={OURS}" in done.stdout, f"the page of another workspace: {done.stdout[-300:]}")
        ours = traces_in(OURS)
        check_same(len(ours), 38, "traces in the workspace")
        for other in ("default", "team-2"):
            check_same(traces_in(other), [], f"traces in {other}")

        users = run(SESSIONS, "--experiment", EXPERIMENT, "--json", "users", workspace=OURS)
        told = sum(user["interactions"] for user in json.loads(users.stdout or "[]"))
        check_same(told, sum("mlflow.trace.user" in trace.info.trace_metadata for trace in ours), f"turns {users.stderr}")
        check(run(SESSIONS, "--experiment", EXPERIMENT, "users", workspace="team-2").returncode != 0, "found elsewhere")

        lost = run(CHAT, workspace="no-such-team")
        check(lost.returncode == 2 and "no-such-team" in lost.stderr, f"a workspace that is not there: {lost}")
    finally:
        subprocess.run([*SERVER, "stop", folder], check=True)
finish()
