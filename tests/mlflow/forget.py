# SPDX-License-Identifier: Apache-2.0
"""`mlflow_sessions forget --user`: what one of many users left on the server, in spools and in files is listed, then
deleted. After that and VACUUM no byte of the database and of the files has the ID, and the traces of all others are the
same.

MLFLOW_TRACE_DATASET, "traces users sessions", makes it larger.
"""

import gzip
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import _dataset
import _spans_file
import mlflow
from _byte_scan import files_with, vacuum
from _reading import check, check_same, finish
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reliability"))
from kill import killed

PROGRAM = os.environ["MLFLOW_TRACE_SESSIONS"]
WRITER = os.environ["MLFLOW_TRACE_SPOOL_WRITER"]
NAME = os.environ.get("MLFLOW_TRACE_EXPERIMENT", "forget")
SIZE = [int(number) for number in os.environ.get("MLFLOW_TRACE_DATASET", "2000 100 400").split()]
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
    environment = os.environ | {"MLFLOW_EXPERIMENT_NAME": NAME}
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, env=environment)


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


def files_with_id(*folders: pathlib.Path, of: str = USER) -> list[str]:
    vacuum(SERVER / "mlflow.db")
    return [str(folder / name) for folder in folders for name in files_with(of.encode(), folder)]


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
    check_any_user()  # while the server has few traces, whose spans are all read
    check_lies()
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
    check_interruptions()
    check_faults()
    finish()


def is_of_others(span: str, hexadecimal: set[str]) -> bool:
    try:
        return json.loads(span)["traceId"] not in hexadecimal
    except json.JSONDecodeError:
        return USER not in span


class Faulty(http.server.ThreadingHTTPServer):
    """The server, with a fault in place of the answer to a request: `(its number among those whose line has the text, text, how)`."""

    def __init__(self, fault: tuple[int, str, str]):
        self.fault, self.seen = fault, 0
        super().__init__(("127.0.0.1", 0), Passing)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self.server_port}"


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        nth, text, how = self.server.fault
        if text in self.requestline:
            self.server.seen += 1
        is_faulty = text in self.requestline and self.server.seen == nth
        status, reply = 500, b'{"error_code": "INTERNAL_ERROR", "message": "disk is full"}'
        if not is_faulty or how == "lost":
            request = urllib.request.Request(URI + self.path, body or None, {"Content-Type": "application/json"}, method=self.command)
            try:
                with urllib.request.urlopen(request) as answer:
                    status, reply = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, reply = error.code, error.read()
        if is_faulty and how.startswith("{"):  # a success that is none
            status, reply = 200, how.encode()
        if is_faulty and how == "lost":  # done, and nobody hears of it
            self.close_connection = True
            self.connection.close()
            return
        if is_faulty and how == "garbage":
            status, reply = 200, b"<html>it works</html>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_POST = do_DELETE = do_PATCH = pass_on

    def log_message(self, *_: object) -> None:
        pass


def check_interruptions() -> None:
    """After a fault in the midst the receipt says what is done, and a second run finds all the rest, also what is found by others only."""
    experiment = mlflow.set_experiment(NAME + " interrupted").experiment_id
    faults = [(1, "delete-traces", "500"), (2, "delete-traces", "500"), (2, "delete-traces", "garbage"), (1, "delete-traces", "lost"), (1, "DELETE /api/3.0/mlflow/datasets", "500"), (1, "DELETE /api/2.0/mlflow-artifacts", "500")]
    for number, fault in enumerate(faults):
        user = f"interrupted-{number}"
        traces = Traces()
        ids = [traces.add(10**7 + number * 1000 + nth, user, f"{user}/{nth % 7}") for nth in range(150)]
        loose = traces.add(10**7 + number * 1000 + 500, None, f"{user}/0")
        traces.post(experiment)
        put_artifact(experiment, ids[0], user)
        name = f"interruption {number}"
        for command in (["create", name], ["fill", name, "--user", user]):
            done = subprocess.run([PROGRAM, "--experiment", NAME + " interrupted", "dataset", *command], capture_output=True, text=True, check=False)
            check(done.returncode == 0, f"{command}: {done}")
        made = of_nobody(experiment)
        tag = urllib.request.Request(f"{URI}/api/3.0/mlflow/traces/{made}/tags", json.dumps({"key": ids[3], "value": "1"}).encode(), {"Content-Type": "application/json"}, method="PATCH")
        urllib.request.urlopen(tag).read()  # as an evaluation of a record made of that trace
        command = [PROGRAM, "--json", "forget", "--user", user, "--yes"]
        done = subprocess.run([*command, "--tracking-uri", Faulty(fault).uri], capture_output=True, text=True, check=False)
        check(done.stdout.startswith("{"), f"{fault}: {done}")
        receipt = json.loads(done.stdout or "{}")
        if fault[2] == "lost":  # sent once more, and then nothing is left to delete
            check(done.returncode == 0 and receipt["complete"] and receipt["notes"], f"{fault}: {done}")
        else:
            check(done.returncode == 1 and not receipt["complete"] and "run this again" in receipt["faults"][0], f"{fault}: {done}")
        deleted = {row["what"]: row["deleted"] for row in receipt["places"]}
        is_found = any(map(is_stored, ids))
        check(is_found or not (is_stored(loose) or is_stored(made)), f"{fault}: the traces that name the user go last")
        check(fault[:2] != (2, "delete-traces") or deleted["traces"] > 0, f"{fault}: what was deleted is said: {deleted}")
        again = [subprocess.Popen([*command, "--tracking-uri", URI], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]  # two at once
        said = [one.communicate() for one in again]
        receipts = [json.loads(out) if out else {"complete": False, "said": why} for out, why in said]
        if not all(one["complete"] for one in receipts):  # MLflow responds 500 where another request deletes the same file
            last = subprocess.run([*command, "--tracking-uri", URI], capture_output=True, text=True, check=False)
            receipts = [*receipts, json.loads(last.stdout or "{}")]
            said = str([one.get("faults") for one in receipts[:2]])
            check("responded 500" in said and "run this again" in said, f"{fault}: two at once: {receipts}")
        check(receipts[-1].get("complete"), f"{fault}: two at once: {receipts}")
        left = [trace for trace in [*ids, loose, made] if is_stored(trace)]
        check_same(left, [], f"{fault}: traces that are left")
        check_same(files_with_id(SERVER, of=user), [], f"{fault}: files with the ID")


def check_lies() -> None:
    """A server that says that it deleted, or that it has nothing, is not believed."""
    experiment = mlflow.set_experiment(NAME + " lies").experiment_id
    traces = Traces()
    ids = [traces.add(2 * 10**7 + nth, "lied to", None) for nth in range(3)]
    traces.post(experiment)
    for text, reply, said in (
        ("delete-traces", '{"traces_deleted": 3}', "run this again"),
        ("delete-traces", '{"traces_deleted": 300}', "a higher count than"),
        ("delete-traces", "{}", "not everything was deleted"),
        ("experiments/search", "{}", "lists none"),
        ("experiments/search", '{"experiments": [{}]}', "without ID"),
    ):
        command = [PROGRAM, "forget", "--user", "lied to", "--yes", "--tracking-uri", Faulty((1, text, reply)).uri]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        check(done.returncode == 1 and said in done.stdout + done.stderr, f"{text} {reply}: {done}")
        check_same([is_stored(one) for one in ids], [True] * 3, f"{text} {reply}: traces")
    done = run("--json", "forget", "--user", "lied to", "--yes")
    check(done.returncode == 0 and not any(map(is_stored, ids)), f"the truth: {done}")


def put_file_of_spans(experiment: str, user: str, below: str) -> str:
    """A trace of a user whose spans are in a file, as older clients leave it; one of them has another user."""
    info = _spans_file.new_info(experiment, {"mlflow.trace.user": user})
    spans = [{"name": "root", "parent_span_id": None, "attributes": {"user.id": json.dumps(user)}}, {"name": "child", "parent_span_id": "AAAAAAAAAAE=", "attributes": {"user.id": json.dumps(below)}}]
    _spans_file.write(info, {"spans": spans})
    return info["trace_id"]


def check_any_user() -> None:
    """Users whose IDs other programs can record, most of which `mt::user` rejects: each is forgotten alone, also by --spans, and shown safely."""
    experiment = mlflow.set_experiment(NAME + " any user").experiment_id
    choose = _dataset.random.Random(f"{NAME} any user")
    users = ["a\nb", "\x00", "nul\x00x", "\n", "\x1b[31m", "\x85", "x" * 250, "1042", "true", "patients/1"]
    users += ["".join(choose.choice("ab1 '`\"\\/%_\x00\x01\t\n\r\x1b\x7f\x85é") for _ in range(choose.randrange(2, 9))) for _ in range(12)]
    users = sorted(set(users) - {user for user in users if not user.strip()} | {"\n"})
    own, below, in_files = {}, {}, {}
    for user in users:
        with mlflow.start_span("chat") as span:
            span.set_inputs({"q": f"of {users.index(user)}"})
            mlflow.update_current_trace(metadata={"mlflow.trace.user": user, "mlflow.trace.session": f"{user} s"})
        own[user] = span.trace_id
        with mlflow.start_span("chat") as span:
            mlflow.update_current_trace(metadata={"mlflow.trace.user": "somebody"})
            with mlflow.start_span("child") as inner:
                inner.set_attribute("user.id", int(user) if user == "1042" else user)
        below[user] = span.trace_id
        in_files[user] = put_file_of_spans(experiment, "somebody", user)
    mlflow.flush_trace_async_logging()
    for command in (["create", "any user"], ["fill", "any user", "--since", "2000-01-01"]):
        done = subprocess.run([PROGRAM, "--experiment", NAME + " any user", "dataset", *command], capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"{command}: {done}")
    made = mlflow.genai.datasets.search_datasets(experiment_ids=[experiment])[0]
    made.merge_records([{"inputs": {"by hand": number}, "outputs": {"said": f"to {user}!"}} for number, user in enumerate(users)])
    left = {trace for of in (own, below, in_files) for trace in of.values()}
    choose.shuffle(users)
    for user in users:
        listed = run("forget", "--user-json", json.dumps(user))
        check(listed.returncode == 0 and not any(c < " " and c != "\n" or "\x7f" <= c < "\xa0" for c in listed.stdout), f"{user!r}: {listed}")
        done = run("--json", "forget", "--user-json", json.dumps(user), "--spans", "--yes")
        receipt = json.loads(done.stdout or "{}")
        check(done.returncode == 0 and receipt.get("user") == user and not done.stderr, f"{user!r}: {done}")
        counts = {row["what"]: row["deleted"] for row in receipt.get("places", [])}
        check_same(counts, {"traces": 3, "records of datasets": 1}, f"{user!r}")
        check(len(receipt.get("mentioning_records", [])) >= 1, f"{user!r}: a record made by hand: {receipt}")
        left -= {own[user], below[user], in_files[user]}
        check_same({trace for of in (own, below, in_files) for trace in of.values() if is_stored(trace)}, left, f"{user!r}: traces that are left")
    again = run("forget", "--user-json", '"a\\nb"')
    check('nothing found of "a\\nb"\n' in again.stdout, f"shown: {again}")


def of_nobody(experiment: str) -> str:
    """A new trace of nobody."""
    traces = Traces()
    trace = traces.add(int(time.time() * 1000) % 10**9, None, None)
    traces.post(experiment)
    return trace


def check_faults() -> None:
    for arguments, said in {
        ("forget",): "--user",
        ("forget", "--user", USER, "--session", "a"): "--session: has no effect",
        ("forget", "--user", USER, "--experiment", "a"): "--experiment: has no effect",
        ("forget", "--user-json", USER): "not a JSON string",
        ("forget", "--user", USER, "--no-server"): "needs --spool",
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
