# SPDX-License-Identifier: Apache-2.0
"""Situations in which people reported that other tools for traces fail them, and what mlflow_sessions does in them. Each
function names the public report. MLFLOW_TRACE_SPANS is the size of the largest trace.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import mlflow
from _reading import check, check_same, finish

PROGRAM = os.environ["MLFLOW_TRACE_SESSIONS"]
URI = os.environ["MLFLOW_TRACKING_URI"]
PREFIX = os.environ.get("MLFLOW_TRACE_EXPERIMENT", "public reports")
SPANS = int(os.environ.get("MLFLOW_TRACE_SPANS", "32843"))
MINUTE = 60 * 10**9
NOW = time.time_ns() // 10**6 * 10**6


def post(path: str, body: object, **headers: str) -> dict:
    headers = {"Content-Type": "application/json"} | {key.replace("_", "-"): value for key, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(URI + path, json.dumps(body).encode(), headers), timeout=300) as reply:
        return json.loads(reply.read() or b"{}")


class Experiment:
    def __init__(self, report: str):
        self.name = f"{PREFIX} {report}"
        self.id = mlflow.set_experiment(self.name).experiment_id

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        command = [PROGRAM, "--tracking-uri", URI, "--experiment", self.name, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    def rows(self, *arguments: str) -> list[dict]:
        done = self.run("--json", *arguments)
        check(done.returncode == 0 and not done.stderr, f"{self.name}: {arguments}: {done.returncode} {done.stderr}")
        return json.loads(done.stdout or "[]")

    def send(self, *traces: list[dict]) -> None:
        spans = [span for trace in traces for span in trace]
        post("/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}, x_mlflow_experiment_id=self.id)

    def describe(self, trace: list[dict], metadata: dict) -> None:
        """Metadata, which OTLP has no place for; MLflow takes it before the spans."""
        location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self.id}}
        info = {"trace_id": "tr-" + trace[0]["traceId"], "trace_location": location, "state": "OK", "trace_metadata": metadata}
        at = int(trace[0]["startTimeUnixNano"]) // 10**6
        info["request_time"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03}Z"
        post("/api/3.0/mlflow/traces", {"trace": {"trace_info": info}})


def span(name: str, begin: int, parent: dict | None = None, is_error: bool = False, **attributes: object) -> dict:
    made = {
        "traceId": parent["traceId"] if parent else os.urandom(16).hex(),
        "spanId": os.urandom(8).hex(),
        "name": name,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + 500_000_000),
        "status": {"code": 2 if is_error else 1},
        "attributes": [
            {"key": key, "value": {"stringValue": value if isinstance(value, str) else json.dumps(value)}}
            for key, value in attributes.items()
        ],
    }
    return made | ({"parentSpanId": parent["spanId"]} if parent else {})


def turn(user: str | None, session: str | None, begin: int = NOW, **attributes: object) -> list[dict]:
    identity = {key: value for key, value in (("user.id", user), ("session.id", session)) if value is not None}
    texts = {"mlflow.spanInputs": {"message": "hello"}, "mlflow.spanOutputs": "good day"}
    return [span("chat", begin, **identity, **texts | attributes)]


def check_sessions_by_metadata() -> None:
    """langfuse/langfuse#6085: sessions cannot be filtered by the metadata of their traces."""
    here = Experiment("langfuse 6085")
    for session, segments in (("a", ["free", "pro"]), ("b", ["free", "free"]), ("c", ["pro"])):
        for number, segment in enumerate(segments):
            trace = turn("ann", session, NOW + number * 10**9)
            here.describe(trace, {"plan name": segment, "mlflow.trace.session": session, "mlflow.trace.user": "ann"})
            here.send(trace)
    # mlflow/mlflow#18491: a key with a space cannot be searched for
    found = {row["session"]: row["turns"] for row in here.rows("sessions", "--filter", "metadata.`plan name` = 'pro'")}
    check_same(found, {"a": 2, "c": 1}, "sessions with a turn of this segment, with all their turns")
    by = {row["value"]: row["interactions"] for row in here.rows("compare", "--by", "plan name")}
    check_same(by, {"free": 3, "pro": 2}, "compared by a key with a space")


def check_long_sessions() -> None:
    """Arize-ai/phoenix#13886: a session that began before the period is not shown, although it goes on."""
    here = Experiment("phoenix 13886")
    here.send(turn("ann", "long", NOW - 1440 * MINUTE), turn("ann", "long", NOW - 2 * MINUTE), turn("bob", "old", NOW - 60 * MINUTE))
    found = {row["session"]: row["turns"] for row in here.rows("sessions", "--since", "15m")}
    check_same(found, {"long": 2}, "sessions of the last quarter of an hour")
    check_same([row["session"] for row in here.rows("sessions", "--having", "idle > 30m")], ["old"], "idle sessions")


def check_failed_turn() -> None:
    """Arize-ai/phoenix#5750: a turn that failed without an output makes its session, and then all, unreadable."""
    here = Experiment("phoenix 5750")
    failed = [span("chat", NOW + 10**9, is_error=True, **{"user.id": "ann", "session.id": "s"})]
    unended = [span("generate", NOW + 2 * 10**9, failed[0], **{"user.id": "ann", "session.id": "s"})]
    unended[0]["traceId"] = os.urandom(16).hex()  # its root span never came
    here.send(turn("ann", "s"), failed, unended)
    here.send(turn("bob", "other"))
    shown = here.rows("show", "s")
    check_same([row["status"] for row in shown], ["OK", "ERROR", "IN_PROGRESS"], "turns of the session")
    check_same([row["response"] for row in shown], ['"good day"', None, None], "answers of the session")
    check_same({row["session"]: row["errors"] for row in here.rows("sessions")}, {"s": 1, "other": 0}, "sessions")
    with tempfile.TemporaryDirectory() as folder:
        done = here.run("report", "--content", "spans", "--output", f"{folder}/report.html")
        check(done.returncode == 0, f"report: {done.stderr}")


def check_unique_counts() -> None:
    """langfuse/langfuse#10405 and #13417: the number of users, or of sessions, is the number of traces.
    Arize-ai/phoenix#14171: sessions cannot be filtered by their user."""
    here = Experiment("langfuse 10405")
    here.send(*[turn("user1", f"s-{number % 3}", NOW + number * 10**9) for number in range(10)])
    here.send(turn("user2", "s-3"))
    found = {row["user"]: (row["interactions"], row["sessions"]) for row in here.rows("users")}
    check_same(found, {"user1": (10, 3), "user2": (1, 1)}, "users with their turns and sessions")
    check_same(sorted(row["session"] for row in here.rows("sessions", "--user", "user1")), ["s-0", "s-1", "s-2"], "of a user")


def check_bulk_export() -> None:
    """Agenta-AI/agenta#3840 and langfuse/langfuse#17750: an export has one page of the traces, or fails.
    mlflow/mlflow#24937: what is not among the newest 500 traces is left out of a chosen session."""
    here = Experiment("agenta 3840")
    here.send(*[turn("old", "oldest", NOW - 900 * MINUTE + number * 10**9) for number in range(3)])
    at_once = [turn(f"user-{number % 7}", f"s-{number % 50}", NOW - 600 * MINUTE) for number in range(1201)]
    for first in range(0, len(at_once), 400):  # all in the same millisecond
        here.send(*at_once[first : first + 400])
    here.send(*[turn("late", "late", NOW - 10 * MINUTE) for _ in range(20)])
    told = sorted("tr-" + trace[0]["traceId"] for trace in at_once)
    for connections in ("1", "4"):
        found = [row["trace_id"] for row in here.rows("export", "--since", "800m", "--until", "20m", "--connections", connections)]
        check(sorted(found) == told, f"{len(found)} of {len(told)} traces of a range of time, with {connections} connections")
    check_same(len(here.rows("show", "oldest")), 3, "turns of a session beyond the newest 500 traces")
    here.rows("dataset", "create", here.name)
    filled = here.rows("dataset", "fill", here.name, "--session", "oldest", "--per", "session")
    check_same(filled[0]["inserted"], 1, "records of a session beyond the newest 500 traces")


def check_csv() -> None:
    """openobserve/openobserve#11743 and latitude-dev/latitude-llm#878: commas, quotes and lines of JSON move the columns."""
    here = Experiment("openobserve 11743")
    texts = ['{"a": [1, 2, "x,y"], "b": "say \\"hi\\""}', "one\r\ntwo\n\n,three", '"', "=1+1", "; \t |", "\u2028 \x1f"]
    for number, text in enumerate(texts):
        made = turn("ann", "s", NOW + number * 10**9, **{"mlflow.spanInputs": json.dumps({"message": text})})
        here.describe(made, {"mlflow.trace.session": "s", "mlflow.trace.user": "ann", "note, \"of\"\nlines": text})
        here.send(made)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "traces.csv")
        done = here.run("export", "--output", str(path), "--exact")
        check(done.returncode == 0, f"export: {done.stderr}")
        with path.open(newline="") as file:
            read = list(csv.DictReader(file, strict=True))
    check_same([row["request"] for row in read][::-1], [json.dumps({"message": text}) for text in texts], "requests in CSV")
    check_same([json.loads(row["metadata"]).get("note, \"of\"\nlines") for row in read][::-1], texts, "metadata in CSV")
    check(all(None not in row and None not in row.values() for row in read), "a row has too many or too few columns")


def check_array_inputs() -> None:
    """mlflow/mlflow#24709: a trace whose inputs are an array cannot become a record of a dataset."""
    here = Experiment("mlflow 24709")
    messages = [{"role": "user", "parts": [{"type": "text", "content": "where is my bike?"}]}]
    here.send([span("chat", NOW, **{"session.id": "s", "gen_ai.input.messages": messages, "gen_ai.output.messages": messages})])
    here.send([span("chat", NOW + 10**9, **{"session.id": "s", "mlflow.spanInputs": ["a", 1, None], "mlflow.spanOutputs": [1, 2]})])
    here.rows("dataset", "create", here.name)
    filled = here.rows("dataset", "fill", here.name, "--session", "s")
    check_same([filled[0]["inserted"], filled[0]["skipped"]], [2, 0], "records of traces with arrays")
    records = mlflow.genai.datasets.get_dataset(name=here.name).to_df()
    check_same(sorted(records["inputs"], key=repr), sorted([{"input": messages}, {"input": ["a", 1, None]}], key=repr), "inputs")


def check_many_spans() -> None:
    """mlflow/mlflow#24314: the page of a trace with 32,843 spans hangs, and requests time out."""
    here = Experiment("mlflow 24314")
    trace = turn("ann", "s")
    trace += [span(f"step {number}", NOW + number, trace[0]) for number in range(SPANS - 1)]
    for one in (trace[0], trace[-1]):
        one["status"] = {"code": 2, "message": "the last step failed"}
    for first in range(0, len(trace), 4000):
        here.send(trace[first : first + 4000])
    check_same([row["error"] for row in here.rows("errors")], [f"{trace[-1]['name']}: the last step failed"], "errors")
    shown = here.run("show", "s")
    check(shown.returncode == 0 and "the last step failed" in shown.stdout, f"show: {shown.stderr}")


def check_forgotten_nobody() -> None:
    """langfuse/langfuse#8139: the deletion of what does not exist is told to be done.
    langfuse/langfuse-docs#3064: records of datasets made from deleted traces stay."""
    here = Experiment("langfuse 8139")
    here.send(turn("user of 8139", "s"), turn("ann", "t"))
    here.rows("dataset", "create", here.name)
    here.rows("dataset", "fill", here.name, "--user", "user of 8139")

    def forget(user: str) -> subprocess.CompletedProcess:
        command = [PROGRAM, "--tracking-uri", URI, "forget", "--user", user, "--yes"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    done = forget("nobody at all")
    check(done.returncode == 0 and "there was nothing to delete" in done.stdout, f"forget of nobody: {done}")
    check_same(len(here.rows("export")), 2, "traces after it")
    done = forget("user of 8139")
    check(done.returncode == 0, f"forget: {done}")
    check_same([row["user"] for row in here.rows("export")], ["ann"], "users after it")
    check_same(here.rows("dataset", "show", here.name), [], "records after it")
    done = forget("user of 8139")
    check(done.returncode == 0 and "there was nothing to delete" in done.stdout, f"forget again: {done}")


def check_costs_of_children() -> None:
    """gooyoung/pi-langfuse#21: a session has no cost where only the root span has its ID."""
    here = Experiment("pi-langfuse 21")
    for number in range(2):
        trace = turn("ann", "s", NOW + number * 10**9)
        usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
        cost = {"input_cost": 0.001, "output_cost": 0.002, "total_cost": 0.003}
        trace.append(span("generate", NOW, trace[0], **{"mlflow.chat.tokenUsage": usage, "mlflow.llm.cost": cost}))
        here.send(trace)
    (found,) = here.rows("sessions")
    check_same([found["input_tokens"], found["output_tokens"], round(found["cost"], 9)], [200, 40, 0.006], "of a session")


only = sys.argv[1:]  # names of functions
for name, situation in list(globals().items()):
    if name.startswith("check_") and situation.__module__ == __name__ and (not only or name in only):
        begin = time.monotonic()
        situation()
        print(f"{name}: {time.monotonic() - begin:.1f} s")
finish()
