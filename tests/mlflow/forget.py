# SPDX-License-Identifier: Apache-2.0
"""`mlflow_sessions forget --user`: what one of many users left on the server, in spools and in files is listed, then
deleted. After that no byte of the database and of the files has the ID, and the traces of all others are the same.

MLFLOW_TRACE_DATASET, "traces users sessions", makes it larger.
"""

import gzip
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

import _dataset
import mlflow
from _reading import check, check_same, finish
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reliability"))
from kill import killed

PROGRAM = os.environ["MLFLOW_TRACE_SESSIONS"]
WRITER = os.environ["MLFLOW_TRACE_SPOOL_WRITER"]
NAME = os.environ.get("MLFLOW_TRACE_EXPERIMENT", "forget")
SIZE = [int(number) for number in os.environ.get("MLFLOW_TRACE_DATASET", "10000 400 2000").split()]
SCRIPT = [sys.executable, str(pathlib.Path(__file__).with_name("server.py"))]
SERVER = pathlib.Path(tempfile.mkdtemp())  # one of its own: other tests have this user too
subprocess.run([*SCRIPT, "start", str(SERVER)], check=True)
URI = json.loads((SERVER / "server.json").read_text())["uri"]
os.environ["MLFLOW_TRACKING_URI"] = URI
mlflow.set_tracking_uri(URI)
client = mlflow.MlflowClient()
USER = "user-1042"  # of the spool's writer too; no other ID begins with it
TABLES = {"trace_info": "request_id", "trace_request_metadata": "request_id", "trace_tags": "request_id"}
TABLES |= {name: "trace_id" for name in ("spans", "span_metrics", "assessments")} | {"trace_metrics": "request_id"}


@mlflow.genai.scorer
def length(outputs) -> int:
    return len(outputs)


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [PROGRAM, "--experiment", NAME, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def forget(*arguments: str) -> dict:
    done = run("--json", "forget", "--user", USER, *arguments)
    if done.returncode != 0 or done.stderr:
        sys.exit(f"{arguments}: {done}")
    return json.loads(done.stdout)


def database() -> sqlite3.Connection:
    return sqlite3.connect(f"file:{SERVER}/mlflow.db?mode=ro", uri=True, timeout=60)


def fingerprints() -> dict[str, str]:
    """Of each trace: all that the database has of it."""
    found: dict = {}
    with database() as connection:
        for table, key in TABLES.items():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            at = columns.index(key)
            for row in sorted(connection.execute(f"SELECT * FROM {table}"), key=repr):
                found.setdefault(row[at], hashlib.sha256()).update(repr((table, row)).encode())
    return {trace: digest.hexdigest() for trace, digest in found.items()}


class Traces:
    """One request, and the line of a file that says the same."""

    def __init__(self) -> None:
        self.request = ExportTraceServiceRequest()
        self.spans = self.request.resource_spans.add().scope_spans.add().spans

    def add(self, number: int, user: str | None, session: str | None, named_below: str | None = None) -> str:
        start = _dataset.START_NANO + number * 1_000_000_000
        spans = _dataset.spans_of(_dataset.random.Random(f"{NAME} {number}"), number, user, session, start)
        if named_below:
            spans[1].attributes.add(key="user.id").value.string_value = named_below
        self.spans.extend(spans)
        return "tr-" + spans[0].trace_id.hex()

    def line(self) -> str:
        return _dataset.as_json_line(self.request)

    def post(self, experiment: str) -> None:
        request = ExportTraceServiceRequest.FromString(self.request.SerializeToString())
        _dataset.for_mlflow(request.resource_spans[0].scope_spans[0].spans)
        headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment}
        _dataset.post(URI, "/v1/traces", request.SerializeToString(), headers)


def put_artifact(experiment: str, trace: str, content: str) -> None:
    path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/traces/{trace}/artifacts/attachments/photo"
    urllib.request.urlopen(urllib.request.Request(URI + path, content.encode(), method="PUT")).read()


def record(path: pathlib.Path) -> dict[str, set[str]]:
    """Which traces are the user's, and which are not known whose."""
    experiment = _dataset.write(NAME, *SIZE, path=str(path))
    mine, undecided, others = set(), set(), []
    shared = Traces()  # one request and line with traces of several
    for number in range(40):
        if number % 2 == 0:
            mine.add(shared.add(10**6 + number, USER, f"own session {number % 5}"))
        else:
            others.append(shared.add(10**6 + number, "another user", "shared session"))
    mine.add(shared.add(2 * 10**6, USER, "shared session"))
    mine.add(shared.add(2 * 10**6 + 1, None, "own session 0"))
    mine.add(shared.add(2 * 10**6 + 2, "user-1", "session-1", named_below=USER))
    undecided.add(shared.add(2 * 10**6 + 3, None, "shared session"))
    shared.post(experiment)
    gone = Traces()  # in an experiment that is marked as deleted
    mine.add(gone.add(3 * 10**6, USER, None))
    other_experiment = mlflow.set_experiment(NAME + " deleted").experiment_id
    gone.post(other_experiment)
    client.delete_experiment(other_experiment)
    only_in_file = Traces()
    mine.add(only_in_file.add(4 * 10**6, USER, "only in the file"))
    with path.open("a", encoding="utf-8") as file:
        file.write(shared.line() + only_in_file.line() + gone.line() + f'{{"cut in the middle of {USER}\n' + '{"cut\n')
    path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))

    put_artifact(experiment, min(filter(is_stored, mine)), f"a photo of {USER}")
    put_artifact(experiment, others[0], "a photo")
    for value in (True, False):
        source = mlflow.entities.AssessmentSource(source_type="HUMAN", source_id=USER)
        mlflow.log_feedback(trace_id=others[0], name="helpful", value=value, source=source)
    mlflow.log_feedback(trace_id=others[0], name="helpful", value=True)
    for name, chosen in (("mine", ["--user", USER]), ("others", ["--trace", others[0]])):
        for command in (["create", name], ["fill", name, *chosen]):
            done = run("dataset", *command)
            check(done.returncode == 0, f"dataset {command}: {done}")
    # An evaluation records traces, which have no user.
    found = {one.name: one for one in mlflow.genai.datasets.search_datasets(experiment_ids=[experiment])}
    mlflow.set_experiment(NAME)
    for one in found.values():
        mlflow.genai.evaluate(data=mlflow.genai.datasets.get_dataset(dataset_id=one.dataset_id), scorers=[length])
    return {"mine": mine, "undecided": undecided, "others": set(others)}


def is_stored(trace: str) -> bool:
    with database() as connection:
        return connection.execute("SELECT count(*) FROM trace_info WHERE request_id = ?", [trace]).fetchone()[0] == 1


def holds_id(path: pathlib.Path) -> bool:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content += gzip.decompress(content)
    return USER.encode() in content


def files_with_id(*folders: pathlib.Path) -> list[str]:
    """Of the server all but its log."""
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name != "server.log"]
    return [str(path) for path in found if holds_id(path)]


def spans_in(path: pathlib.Path) -> list[str]:
    """As texts, with the number of their line."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            document = json.loads(line)
        except json.JSONDecodeError:
            found.append(line)
            continue
        for resource in document["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                found += [json.dumps(span) for span in scope["spans"]]
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as above:
        folder = pathlib.Path(above)
        path, spool = folder / "traces.jsonl", folder / "spool"
        traces = record(path)
        killed([WRITER, str(spool), "1", "http://127.0.0.1:9", NAME], 0.5)
        in_spool = len(list(spool.glob("*.spool")))
        check(in_spool > 0, "files of the spool")
        aside = next(spool.glob("*.spool"))
        aside.rename(aside.with_suffix(".rejected"))
        where = ["--spans", "--spool", str(spool), "--file", str(path), "--file", str(path) + ".gz"]
        check(len(files_with_id(SERVER, folder)) >= 4, f"files with the ID before: {files_with_id(SERVER, folder)}")
        before, spans_before = fingerprints(), spans_in(path)
        lines_before = path.read_bytes().splitlines(keepends=True)

        listed = forget(*where)
        check_same(listed["is_dry_run"], True, "a dry run")
        check_same(fingerprints(), before, "the database after a dry run")
        check_same(path.read_bytes(), b"".join(lines_before), "the file after a dry run")
        counts = {(row["place"], row["what"]): row["found"] for row in listed["places"]}
        stored = {trace for trace in traces["mine"] if trace in before}
        evaluated = counts[URI, "records of datasets"]
        check_same(counts[URI, "traces"], len(stored) + evaluated, "traces on the server")
        check_same(counts[URI, "feedback and expectations on traces of others"], 2, "feedback")
        check_same(counts[URI, "records of datasets"], 21, "records")
        check_same(counts[str(path), "traces"], len(traces["mine"]), "traces in the file")
        check_same(counts[str(path) + ".gz", "traces"], len(traces["mine"]), "traces in the packed file")
        check_same(listed["undecided"], sorted(traces["undecided"]), "traces of nobody knows whom")
        check(not any(row["deleted"] for row in listed["places"]), "a dry run deletes nothing")

        began = time.monotonic()
        receipt = forget("--yes", *where)
        print(f"{len(before)} traces: forgotten in {time.monotonic() - began:.1f} s")
        check_same(receipt["complete"], True, f"receipt {receipt}")
        check(all(row["found"] == row["deleted"] for row in receipt["places"]), f"receipt {receipt['places']}")
        check(any("write-ahead log" in line for line in receipt["beyond_reach"]), "what is not reached")
        check_same(files_with_id(SERVER, folder), [], "files with the ID")

        after = fingerprints()
        gone = before.keys() - after.keys()
        check(stored <= gone and not gone & (traces["others"] | traces["undecided"]), "traces that are gone")
        check_same(len(gone), len(stored) + evaluated, "traces that are gone, with those of evaluations")
        changed = {trace for trace in after if before.get(trace) != after[trace]}
        check_same(changed, {min(changed)}, "traces that are not the same: only the one whose feedback went")
        check(changed <= traces["others"], "whose feedback went")
        feedback = client.get_trace(min(changed)).info.assessments
        check_same([one.source.source_id == USER for one in feedback], [False], "feedback of others")
        left = [one for one in SERVER.glob("artifacts/*/traces/*") if one.name in before]
        check_same([one.name in traces["others"] for one in left if list(one.rglob("photo"))], [True], "files of others")
        records = json.loads(run("--json", "dataset", "list").stdout)
        check_same({row["name"]: row["records"] for row in records}, {"mine": 0, "others": 1}, "records that are left")

        hexadecimal = {trace.removeprefix("tr-") for trace in traces["mine"]}
        told = [span for span in spans_before if is_of_others(span, hexadecimal)]
        check_same(spans_in(path), told, "spans in the file")
        check_same(gzip.decompress(path.with_suffix(".jsonl.gz").read_bytes()), path.read_bytes(), "the packed file")
        lines = path.read_bytes().splitlines(keepends=True)
        same = [line for line in lines_before if USER.encode() not in line]
        check(all(line in set(lines) for line in same), "lines without the user, byte by byte")
        check_same(len(lines), len(same) + 1, "lines: the shared one is shorter")

        again = forget(*where)
        check_same(again["places"], [], "a second run")
    check_faults()
    finish()


def is_of_others(span: str, hexadecimal: set[str]) -> bool:
    try:
        return json.loads(span)["traceId"] not in hexadecimal
    except json.JSONDecodeError:
        return USER not in span


def check_faults() -> None:
    for arguments, said in {
        ("forget",): "--user",
        ("forget", "--user", USER, "--session", "a"): "leave",
        ("forget", "--user", USER, "--no-server"): "leaves nothing",
        ("forget", "--user", USER, "--file", "/nowhere"): "does not exist",
        ("forget", "--user", USER, "--tracking-uri", "http://127.0.0.1:9", "--yes"): "nothing was deleted",
    }.items():
        done = run(*arguments)
        check(done.returncode != 0 and said in done.stderr + done.stdout, f"{arguments}: {done}")


if __name__ == "__main__":
    try:
        main()
    finally:
        subprocess.run([*SCRIPT, "stop", str(SERVER)], check=True)
        shutil.rmtree(SERVER)
