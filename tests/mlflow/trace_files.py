# SPDX-License-Identifier: Apache-2.0
"""The same answer from a file as from MLflow: files of OTLP JSON go into a real server, a line a request, and
mlflow_sessions says the same of the server and of the file. The files are those of tests/client/traces and of a
generator of odd shapes; MLFLOW_TRACE_ODD_TRACES makes more of these, and MLFLOW_TRACE_SEED others.
"""

import gzip
import hashlib
import json
import math
import os
import pathlib
import re
import subprocess
import tempfile
import urllib.error
import urllib.request

import _odd_traces
import mlflow
from _reading import check, check_same, finish

PROGRAM = os.environ["MLFLOW_TRACE_SESSIONS"]
URI = os.environ["MLFLOW_TRACKING_URI"]
CASES = pathlib.Path(__file__).resolve().parents[1] / "client" / "traces"
ODD_TRACES = int(os.environ.get("MLFLOW_TRACE_ODD_TRACES", "300"))
SEED = os.environ.get("MLFLOW_TRACE_SEED", "1")

# Where MLflow is not followed, and what is said instead.
MLFLOW_IS_WRONG = {
    "empty-value.jsonl": "stores a value that is not there as the text null",
    "end-before-start.jsonl": "has a duration of minus 54 years",
    "integer-over-64-bits.jsonl": "refuses the request",
    "lone-surrogate.jsonl": "refuses the request",
    "same-span-twice-in-a-line.jsonl": "counts its tokens twice",
    "nan.jsonl": "refuses the request",
    "sixty-levels.jsonl": "refuses the request",
    "huge-integers.jsonl": "refuses the request",
}
# What only a server adds.
OF_THE_SERVER = {"mlflow.artifactLocation", "mlflow.trace.spansLocation"}


def run(uri: str, *arguments: str, experiment: str = "Default") -> list[dict]:
    where = ["--tracking-uri", uri, *(["--experiment", experiment] if uri.startswith("http") else [])]
    command = [PROGRAM, "--json", *where, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{arguments} of {uri}: {done.stderr}")
    return json.loads(done.stdout or "[]")


def post(experiment_id: str, line: str) -> bool:
    headers = {"Content-Type": "application/json", "x-mlflow-experiment-id": experiment_id}
    try:
        urllib.request.urlopen(urllib.request.Request(URI + "/v1/traces", line.encode(), headers), timeout=300).read()
    except urllib.error.HTTPError:
        return False
    return True


def with_own_ids(text: str, name: str) -> str:
    """Traces belong to the experiment in which their ID came first: each file has IDs of its own."""

    def own(found: re.Match) -> str:
        return found[1] + hashlib.sha256((name + found[2].lower()).encode()).hexdigest()[:32]

    return re.sub(r'("traceId":\s*")([0-9a-fA-F]{32})(?=")', own, text)


def lines_of(path: pathlib.Path) -> list[str]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    text = with_own_ids(text, path.name)
    return [text] if path.suffix == ".json" else text.splitlines()


def comparable(row: dict, is_priced: bool) -> dict:
    row = dict(row)
    row.pop("experiment_id", None)
    row.pop("feedback", None)
    if "tags" in row:
        row["tags"] = {key: value for key, value in row["tags"].items() if key not in OF_THE_SERVER}
    # MLflow prices models that it knows: a file has no prices.
    if is_priced:
        row.pop("cost", None)
        if "metadata" in row:
            row["metadata"] = {key: value for key, value in row["metadata"].items() if key != "mlflow.trace.cost"}
    if "metadata" in row and "mlflow.trace.cost" in row["metadata"]:  # the order of the sum is not MLflow's
        costs = json.loads(row["metadata"]["mlflow.trace.cost"])
        row["metadata"] = row["metadata"] | {"mlflow.trace.cost": {key: f"{value:.12g}" for key, value in costs.items()}}
    if isinstance(row.get("cost"), float):
        row["cost"] = f"{row['cost']:.12g}"
    return row


def compare(name: str, lines: list[str], folder: str, whole: bool) -> None:
    experiment = f"trace file {name}"
    experiment_id = mlflow.set_experiment(experiment).experiment_id
    taken = [line for line in lines if post(experiment_id, line)]
    path = str(pathlib.Path(folder, "compared.jsonl"))
    pathlib.Path(path).write_text("\n".join(taken) + "\n", encoding="utf-8")
    if whole:
        check_same(len(taken), len(lines), f"{name}: requests that MLflow takes")
    is_priced = any("gpt-4o" in line for line in lines)
    sessions = set()
    for command in ("export", "users", "sessions"):
        key = {"export": "trace_id", "users": "user", "sessions": "session"}[command]
        found, told = (
            {row[key]: comparable(row, is_priced) for row in run(uri, command, experiment=experiment)} for uri in (path, URI)
        )
        check(sorted(found) == sorted(told), f"{name}: {command}: {sorted(found)} in the file, {sorted(told)} in MLflow")
        for which in told.keys() & found.keys():
            for field in told[which]:
                if told[which][field] == found[which][field] or field == "idle_ms":  # which is until now
                    check(True, "")
                    continue
                if told[which].get("duration_ms") is None and field in ("duration_ms", "mean", "p50", "p95", "p99"):
                    continue
                check_same(found[which][field], told[which][field], f"{name}: {command} {which}: {field}")
                if command == "export" and "MLFLOW_TRACE_VERBOSE" in os.environ:
                    print(f"{name}: {which}: " + "\n  ".join(line for line in taken if which[3:] in line)[:3000])
        if command == "sessions":
            sessions = set(told)
    for session in sorted(sessions) if whole else sorted(sessions)[:3]:
        if not session.strip() or len(session) > 250 or any(ord(c) < 32 for c in session):
            continue
        found, told = (run(uri, "show", "--", session, experiment=experiment) for uri in (path, URI))
        check_same(found, told, f"{name}: show {session!r}")


def of_file(path: pathlib.Path, command: str = "export") -> list[dict]:
    return run(str(path), command)


def check_where_mlflow_is_wrong(folder: str) -> None:
    """What the file says, and that MLflow says something else: where it no longer does, this list gets shorter."""
    for name in MLFLOW_IS_WRONG:
        path = CASES / name
        experiment = f"wrong {name}"
        experiment_id = mlflow.set_experiment(experiment).experiment_id
        lines = lines_of(path)
        taken = [line for line in lines if post(experiment_id, line)]
        own = pathlib.Path(folder, name)
        own.write_text("\n".join(lines) + "\n", encoding="utf-8")
        rows = {row["trace_id"]: row for row in of_file(own)}
        stored = {trace.info.trace_id: trace.info for trace in mlflow.search_traces(locations=[experiment_id], return_type="list", include_spans=False)}
        check(len(rows) == len({line for line in lines}), f"{name}: {len(rows)} traces of {len(lines)} lines")
        if MLFLOW_IS_WRONG[name] == "refuses the request":
            check(len(taken) < len(lines), f"{name}: MLflow takes all of it now")
        for trace_id, info in stored.items():
            row = rows[trace_id]
            if name == "empty-value.jsonl":
                check(row["user"] is None and row["session"] is None, f"{name}: {row}")
            if name == "end-before-start.jsonl":
                check((row["duration_ms"] is None) == (info.execution_duration < 0), f"{name}: {row}")
            if name == "same-span-twice-in-a-line.jsonl":
                check(json.loads(info.trace_metadata["mlflow.trace.tokenUsage"])["input_tokens"] == 2 * row["input_tokens"], f"{name}: {row}")
        if name == "empty-value.jsonl":
            users = {info.trace_metadata.get("mlflow.trace.user") for info in stored.values()}
            check("null" in users, f"{name}: MLflow stores {users}")
        if name == "end-before-start.jsonl":
            check(any(info.execution_duration < 0 for info in stored.values()), f"{name}: no negative duration in MLflow")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(CASES.iterdir()):
            if path.name not in MLFLOW_IS_WRONG and path.suffix in (".jsonl", ".json", ".gz") and not path.name.startswith("not-"):
                compare(path.name, lines_of(path), folder, True)
        check_where_mlflow_is_wrong(folder)
        for first in range(0, ODD_TRACES, 1000):
            seed = f"{SEED}, from {first}"
            odd = [json.dumps(line) for line in _odd_traces.lines(seed, min(1000, ODD_TRACES - first))]
            compare(f"odd, seed {seed}", odd, folder, False)
    finish()


if __name__ == "__main__":
    main()
