# SPDX-License-Identifier: Apache-2.0
"""examples/mlflow_sessions against pandas: every figure must be the one that pandas computes from what MLflow's own
client finds; exports are read back by pandas and DuckDB; IDs that are hard to search for are found, and nothing else.

MLFLOW_TRACE_DATASET, "traces users sessions", makes it larger; MLFLOW_TRACE_EXPERIMENT uses what is already there.
"""

import json
import math
import os
import pathlib
import subprocess
import tempfile

import _dataset
import duckdb
import mlflow
import pandas
from _reading import check, check_same, client, experiment_id, finish, traces_of

PROGRAM = os.environ["MLFLOW_TRACE_SESSIONS"]
NAME = os.environ.get("MLFLOW_TRACE_EXPERIMENT", "sessions")
SIZE = [int(number) for number in os.environ.get("MLFLOW_TRACE_DATASET", "400 90 70").split()]


def run(*arguments: str, experiment: str = NAME, uri: str | None = None) -> subprocess.CompletedProcess:
    is_file = uri is not None and not uri.startswith("http")
    where = [*([] if is_file else ["--experiment", experiment]), *(["--tracking-uri", uri] if uri else [])]
    command = [PROGRAM, *where, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows(*arguments: str, **where: str) -> list[dict]:
    done = run("--json", *arguments, **where)
    check(done.returncode == 0 and not done.stderr, f"{arguments}: {done.returncode} {done.stderr}")
    return json.loads(done.stdout or "[]")


def time_text(milliseconds: int) -> str:
    return pandas.Timestamp(milliseconds, unit="ms").isoformat(timespec="milliseconds") + "Z"


def frame_of(traces: list) -> pandas.DataFrame:
    def row(info) -> dict:
        usage = json.loads(info.trace_metadata.get("mlflow.trace.tokenUsage", "{}"))
        cost = json.loads(info.trace_metadata.get("mlflow.trace.cost", "{}"))
        return {
            "trace_id": info.trace_id,
            "timestamp": info.request_time,
            "duration": info.execution_duration,
            "status": info.state.value,
            "user": info.trace_metadata.get("mlflow.trace.user"),
            "session": info.trace_metadata.get("mlflow.trace.session"),
            "segment": info.trace_metadata.get("app.segment"),
            "input_tokens": usage.get("input_tokens", 0),
            "output_tokens": usage.get("output_tokens", 0),
            "cost": cost.get("total_cost", 0.0),
            "request_id": info.client_request_id,
            "request": info.request_preview,
            "response": info.response_preview,
        }

    frame = pandas.DataFrame([row(trace.info) for trace in traces])
    texts = ["user", "session", "segment", "request_id"]
    frame[texts] = frame[texts].astype(object).where(frame[texts].notna(), None)
    return frame


def text(value: object) -> str:
    """pandas reads null in a column of texts as a number that is none."""
    return value if isinstance(value, str) else ""


def near(found: object, told: object) -> bool:
    return isinstance(found, (int, float)) and math.isclose(found, told, rel_tol=1e-9, abs_tol=1e-9)


def check_activity(found: dict, group: pandas.DataFrame, what: str) -> None:
    durations = group["duration"]
    told = {"mean": durations.mean()} | {f"p{p}": durations.quantile(p / 100) for p in (50, 95, 99)}
    check_same(sorted(found["duration_ms"]), sorted(told), f"{what}: members of duration_ms")
    for name, value in told.items():
        check(near(found["duration_ms"][name], value), f"{what}: {name} is {found['duration_ms'][name]}, pandas has {value}")
    check_same(found["first_seen"], time_text(group["timestamp"].min()), f"{what}: first_seen")
    check_same(found["last_seen"], time_text(group["timestamp"].max()), f"{what}: last_seen")
    check_same(found["errors"], int((group["status"] == "ERROR").sum()), f"{what}: errors")
    for name in ("input_tokens", "output_tokens"):
        check_same(found[name], int(group[name].sum()), f"{what}: {name}")
    check(near(found["cost"], group["cost"].sum()), f"{what}: cost is {found['cost']}, pandas has {group['cost'].sum()}")


def check_groups(found: list[dict], frame: pandas.DataFrame, by: str, name: str, count: str) -> None:
    groups = dict(list(frame.groupby(by)))
    check_same(sorted(row[name] for row in found), sorted(groups), f"which {by}s")
    for row in found:
        group = groups.get(row[name])
        if group is not None:
            check_same(row[count], len(group), f"{row[name]!r}: {count}")
            check_activity(row, group, repr(row[name]))


def check_users_and_sessions(frame: pandas.DataFrame, **where: str) -> None:
    users = rows("users", **where)
    check_groups(users, frame, "user", "user", "interactions")
    sessions = frame.groupby("user")["session"].nunique()
    for row in users:
        check_same(row["sessions"], int(sessions[row["user"]]), f"{row['user']!r}: sessions")
    found = rows("sessions", **where)
    check_groups(found, frame, "session", "session", "turns")
    first = frame.dropna(subset=["user"]).sort_values("timestamp").groupby("session")["user"].first()
    for row in found:
        check_same(row["user"], first.get(row["session"]), f"{row['session']!r}: user")


def check_show(frame: pandas.DataFrame, session: str) -> None:
    found = rows("show", "--", session)
    turns = frame[frame["session"] == session].sort_values(["timestamp", "trace_id"]).to_dict("records")
    check_same([row["trace_id"] for row in found], [turn["trace_id"] for turn in turns], f"turns of {session!r}")
    for number, (row, turn) in enumerate(zip(found, turns), 1):
        before = turns[number - 2] if number > 1 else None
        told = {
            "turn": number,
            "timestamp": time_text(turn["timestamp"]),
            "duration_ms": turn["duration"],
            "gap_ms": turn["timestamp"] - before["timestamp"] - before["duration"] if before else None,
            "status": turn["status"],
            "request_id": turn["request_id"],
            "request": turn["request"],
            "response": turn["response"],
        }
        for name, value in told.items():
            check_same(row[name], value, f"turn {number} of {session!r}: {name}")


def check_hostile(frame: pandas.DataFrame) -> None:
    for identity in _dataset.HOSTILE:
        for key in ("user", "session"):
            told = set(frame[frame[key] == identity]["trace_id"])
            found = [row["trace_id"] for row in rows("export", f"--{key}={identity}")]
            check(len(found) == len(set(found)) and set(found) == told, f"{key} {identity!r}: {len(found)} of {len(told)} found")
            check(len(told) > 0, f"{key} {identity!r} is not in the data")


def check_exports(frame: pandas.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("traces.csv", "traces.jsonl"):
            path = str(pathlib.Path(folder, name))
            done = run("export", "--output", path)
            check(done.returncode == 0, f"export: {done.stderr}")
            if name.endswith(".csv"):
                read = pandas.read_csv(path, keep_default_na=False, na_values={"cost": [""], "input_tokens": [""]})
                texts = duckdb.sql(f"SELECT trace_id, \"user\", session, request, duration_ms FROM read_csv('{path}', all_varchar = true)")
            else:
                read = pandas.read_json(path, lines=True, dtype=False)
                texts = duckdb.sql(f"SELECT trace_id, \"user\", session, request, duration_ms FROM read_json('{path}', format = 'newline_delimited')")
            by_id = {row["trace_id"]: row for row in read.to_dict("records")}
            in_duckdb = {row[0]: row[1:] for row in texts.fetchall()}
            check_same(sorted(by_id), sorted(frame["trace_id"]), f"{name}: IDs")
            check_same(sorted(in_duckdb), sorted(frame["trace_id"]), f"{name}: IDs in DuckDB")
            for turn in frame.to_dict("records"):
                row = by_id[turn["trace_id"]]
                texts_told = [turn["user"] or "", turn["session"] or "", turn["request"]]
                check_same([text(row["user"]), text(row["session"]), row["request"]], texts_told, f"{name}: texts in pandas")
                found = in_duckdb[turn["trace_id"]]
                check_same([found[0] or "", found[1] or "", found[2]], texts_told, f"{name}: texts in DuckDB")
                check_same(int(found[3]), turn["duration"], f"{name}: duration in DuckDB")
                check(near(row["duration_ms"], turn["duration"]), f"{name}: duration of {turn['trace_id']}")
                check(near(0.0 if row["cost"] != row["cost"] or row["cost"] is None else row["cost"], turn["cost"]), f"{name}: cost")


def check_faults() -> None:
    done = run("users", experiment="there is no such experiment")
    check(done.returncode != 0 and "does not exist" in done.stderr and not done.stdout, f"unknown experiment: {done}")
    done = run("users", uri="http://127.0.0.1:9")
    check(done.returncode != 0 and "127.0.0.1:9" in done.stderr and not done.stdout, f"no server: {done}")
    for bad in ("trace.status = 'OK' OR trace.status = 'ERROR'", "metadata.`a` IN ('b')", "trace.status = 'OK"):
        done = run("users", "--filter", bad)
        check(done.returncode != 0 and "filter" in done.stderr and not done.stdout, f"{bad}: {done}")
    for wrong in (["users", "--user", "nobody was ever called this"], ["show", "no such session"], ["compare", "--by", "no.such.key"]):
        done = run(*wrong)
        is_helpful = "existing names: " in done.stderr or "; keys: " in done.stderr
        check(done.returncode == 1 and is_helpful and not done.stdout, f"{wrong}: {done}")
    check_same(rows("users", "--since", "9999-12-31"), [], "users of no traces")  # Python: division by zero


def main() -> None:
    existing = "MLFLOW_TRACE_EXPERIMENT" in os.environ
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder, "traces.jsonl"))
        if not existing:
            _dataset.write(NAME, *SIZE, path=path)
        traces = traces_of(experiment_id(NAME), spans=False)
        if not existing:
            # Other metadata comes by MLflow's own API only.
            for number, trace in enumerate(traces[:120]):
                trace.info.trace_metadata["app.segment"] = _dataset.SEGMENTS[number % 3]
                trace.info.client_request_id = f"req-{number}"
                client._tracing_client.start_trace(trace.info)
            for number, trace in enumerate(traces[:60]):
                mlflow.log_feedback(trace_id=trace.info.trace_id, name="helpful", value=number % 3 == 0)
            traces = traces_of(experiment_id(NAME), spans=False)
        frame = frame_of(traces)
        check_same(len(frame), SIZE[0], "traces")
        check_users_and_sessions(frame)
        if not existing:
            check_users_and_sessions(frame, uri=path)  # the same from the file, without a server
    check_groups(rows("compare", "--by", "app.segment"), frame, "segment", "value", "interactions")
    for session in frame["session"].value_counts().index[:3].tolist() + _dataset.HOSTILE[:12]:
        check_show(frame, session)
    check_hostile(frame)
    check_exports(frame)
    check_faults()
    late = int(frame["timestamp"].median())
    narrow = frame[(frame["timestamp"] >= late) & (frame["status"] == "OK") & (frame["duration"] > 500)]
    found = rows("users", "--since", time_text(late), "--filter", "trace.status = 'OK' AND trace.execution_time_ms > 500")
    check_groups(found, narrow, "user", "user", "interactions")
    if not existing:
        said = rows("feedback")
        check_same(sum(row["value"] for row in said), 20, "feedback that says yes")
        check_same(len(said), 60, "feedback")
        one = rows("export", "--filter", "trace.client_request_id = 'req-7'")
        check_same([row["request_id"] for row in one], ["req-7"], "the trace of a request ID")
        check_same((one[0]["user"], one[0]["session"]), (frame.iloc[7]["user"], frame.iloc[7]["session"]), "whose request it was")
    finish()


if __name__ == "__main__":
    main()
