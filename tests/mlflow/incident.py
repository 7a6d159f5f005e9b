# SPDX-License-Identifier: Apache-2.0
"""An operator with mlflow_sessions and what _incident.py has planted: the commands of docs/analysis.md name the part at
fault, the segment, the users, the sessions and the turns. The spans of some traces are kept as files.

MLFLOW_TRACE_SESSIONS_PLANTED makes it larger: the number of sessions.
"""

import json
import os
import subprocess
import time

import _incident
import _spans_file
import mlflow
from _reading import check, check_same, finish

PROGRAM = os.environ["MLFLOW_TRACE_SESSIONS"]
SESSIONS = int(os.environ.get("MLFLOW_TRACE_SESSIONS_PLANTED", "600"))
SEED = int(os.environ.get("MLFLOW_TRACE_SEED", "1"))


def run(experiment: str, *arguments: str, code: int = 0) -> str:
    done = subprocess.run([PROGRAM, *arguments, "--experiment", experiment], capture_output=True, text=True, check=False)
    check(done.returncode == code and done.stderr == "", f"{arguments}: {done}")
    return done.stdout


def rows(experiment: str, *arguments: str) -> list[dict]:
    return json.loads(run(experiment, *arguments, "--json"))


def planted(kind: str) -> tuple[str, dict, str]:
    """The experiment, the truth, and since when."""
    now = time.time() // 1
    incident = _incident.Incident(kind, SEED, SESSIONS, now, now - 5 * 3600)
    experiment = f"incident {kind} {SEED}"
    _incident.write(os.environ["MLFLOW_TRACKING_URI"], experiment, incident)
    failed = mlflow.search_traces(locations=[mlflow.get_experiment_by_name(experiment).experiment_id], filter_string="trace.status = 'ERROR'", max_results=1000, include_spans=False, return_type="list")
    for trace in failed[::7]:
        _spans_file.move_into_file(trace.info.trace_id)
    truth = incident.truth()
    check(truth["turns"] > 5, f"{kind}: {truth['turns']} turns are hit")
    return experiment, truth, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(truth["since"]))


def check_errors() -> None:
    experiment, truth, since = planted("errors")
    kind, message = truth["cause"]
    worst = rows(experiment, "errors", "--since", since)[0]
    check(worst["error"].startswith(truth["span"] + ": ") and message in worst["error"] and kind.rpartition(".")[2] in worst["error"], f"errors: {worst}")
    check_same(worst["traces"], truth["turns"], "turns")
    check_same([worst["users"], worst["sessions"]], [len(truth["users"]), len(truth["sessions"])], "users and sessions")
    check(worst["before"] == 0, f"errors of the time before: {worst}")
    turns = rows(experiment, "errors", "--of", truth["cause"][1], "--since", since)
    check_same(len(turns), truth["turns"], "errors --of: turns")
    check_same(sorted({row["user"] for row in turns} - {None}), truth["users"], "errors --of: users")
    check_same(sorted({row["session"] for row in turns} - {None}), truth["sessions"], "errors --of: sessions")
    check_suspect(experiment, truth, since, "failed")
    failed = {row["session"] for row in rows(experiment, "sessions", "--failed", "--since", since)}
    check(set(truth["sessions"]) <= failed, "sessions --failed")
    check(set(truth["users"]) <= {row["user"] for row in rows(experiment, "users", "--failed", "--since", since)}, "users --failed")
    shown = " ".join(run(experiment, "show", worst["session"], "--failed").split())
    check(message in shown and f"tools/{truth['span']}.py" in shown and "File \"/srv" in shown, f"show: {shown}")
    whole = " ".join(run(experiment, "show", worst["session"], "--failed", "--stack").split())
    check("Traceback (most recent call last):" in whole and "server.py" in whole, f"show --stack: {whole}")


def check_suspect(experiment: str, truth: dict, since: str, what: str) -> None:
    """Of all that has risen since, the segment is the first in this respect."""
    first = next(row for row in rows(experiment, "compare", "--since", since) if row["what"] == what and row["has_risen"])
    key, value = truth["segment"]
    check_same([first["key"], first["value"]], ["tag." + key, value], f"{what}: the segment")
    check(first["rate_95"][0] > first["others_rate_95"][1] and (first["rate_before"] or 0) < first["rate_95"][0], f"{first}")


def check_empty() -> None:
    """Nothing fails: the answers are empty."""
    experiment, truth, since = planted("empty")
    silent = [row for row in rows(experiment, "errors", "--since", since) if row["error"].startswith("no answer")]
    check_same([row["traces"] for row in silent], [truth["turns"]], "turns without an answer")
    check_same([silent[0]["users"], silent[0]["before"]], [len(truth["users"]), 0], "users without an answer")
    check(silent[0]["error"].endswith("generate ended with content_filter"), f"why: {silent}")
    shown = " ".join(run(experiment, "show", silent[0]["session"]).split())
    check("(no answer: generate ended with content_filter)" in shown, f"show: {shown}")
    check_suspect(experiment, truth, since, "no answer")


def check_others() -> None:
    for kind, what in (("latency", "slow"), ("sessions", "no session"), ("cost", "dear")):
        experiment, truth, since = planted(kind)
        check_suspect(experiment, truth, since, what)


def main() -> None:
    check_errors()
    check_empty()
    check_others()
    finish()


if __name__ == "__main__":
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    main()
