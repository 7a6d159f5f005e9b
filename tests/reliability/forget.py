#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`mlflow_sessions forget` over many traces of a real MLflow server, on SQLite or PostgreSQL: how long, in how many
requests, and where a scan of every byte of every file finds the ID before and after.

    forget.py PROGRAM [--store sqlite|postgresql] [--traces 2000] [--heavy 0.05] [--database FILE] [--workers 1]
              [--user NAME] [--rest 1] [--spans 1] [--runs dry_run,deletion,again] [--timeout 600] [--output result.json]

PROGRAM is the built mlflow_sessions. A user has the share HEAVY of the traces, and is named in a span of one more trace
that is somebody else's, in feedback on another, and in a file of an artifact. --database is a copy of a database of
MLflow on SQLite to use in place of new traces; --rest 0 leaves out the comparison of what all others have. PostgreSQL
needs Debian's `postgresql` and `psycopg2-binary` from PyPI; its autovacuum is off, so that what a deletion leaves is
seen, and statistics are made before, as autovacuum makes them.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "mlflow"), str(HERE)]
from _byte_scan import files_with, vacuum  # noqa: E402
from _delivery import SKIPPED, ask, finish, mlflow_server  # noqa: E402

EXPERIMENT = "forgotten"
BATCH = 500


def write_traces(uri: str, count: int, share: float, user: str) -> None:
    import mlflow
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    import _dataset

    mlflow.set_tracking_uri(uri)
    experiment = mlflow.set_experiment(EXPERIMENT).experiment_id
    rng = _dataset.random.Random(7)
    headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment}
    ids = []
    for first in range(0, count, BATCH):
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for number in range(first, min(first + BATCH, count)):
            is_theirs = rng.random() < share
            who = user if is_theirs else f"somebody-{rng.randrange(max(10, count // 20))}"
            start = _dataset.START_NANO + number * 10**9
            made = _dataset.spans_of(rng, number, who, f"{who}/{number // 5}", start)
            if is_theirs and number % 7 == 0:
                made[1].attributes.add(key="note").value.string_value = f"asked by {user}"
            if number == 2:
                made[1].attributes.add(key="user.id").value.string_value = user
            spans.extend(made)
            ids.append(("tr-" + made[0].trace_id.hex(), is_theirs))
        _dataset.for_mlflow(spans)
        _dataset.post(uri, "/v1/traces", request.SerializeToString(), headers)
    trace = next((name for name, is_theirs in ids if is_theirs), None)
    if trace:
        path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/traces/{trace}/artifacts/attachments/photo"
        urllib.request.urlopen(urllib.request.Request(uri + path, f"a photo of {user}".encode(), method="PUT")).read()
    judged = next(name for name, is_theirs in ids[3:] if not is_theirs)
    source = mlflow.entities.AssessmentSource(source_type="HUMAN", source_id=user)
    mlflow.log_feedback(trace_id=judged, name="helpful", value=True, source=source)


def sql(store: str, *commands: str) -> list:
    import psycopg2

    connection = psycopg2.connect(re.sub(r"\+psycopg2", "", store))
    connection.autocommit = True
    with connection.cursor() as cursor:
        for command in commands:
            cursor.execute(command)
        return cursor.fetchall() if cursor.description else []


def fingerprints(uri: str, user: str) -> dict[str, str]:
    """All that the server says of each trace that does not name the user."""
    experiments = json.loads(ask(uri + "/api/2.0/mlflow/experiments/search", {"max_results": 1000}))["experiments"]
    locations = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": one["experiment_id"]}} for one in experiments]
    found, body = {}, {"locations": locations, "max_results": 500}
    while True:
        page = json.loads(ask(uri + "/api/3.0/mlflow/traces/search", body))
        for one in page.get("traces", []):
            if user not in json.dumps(one["trace_metadata"]):
                said = [x for x in one.pop("assessments", []) if x["source"]["source_id"] != user]
                found[one["trace_id"]] = json.dumps([one, said], sort_keys=True)
        if not page.get("next_page_token"):
            return found
        body["page_token"] = page["next_page_token"]


def processor_seconds(folder: pathlib.Path) -> float:
    """Of the processes of the server so far: on a busy machine this says more than the time."""
    ticks = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "cwd") == str(folder):
                ticks += sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def requests_in(log: pathlib.Path, begin: int) -> dict[str, int]:
    """What the server was asked for since, by kind, as its log has it."""
    kinds: dict[str, int] = {}
    for method, path in re.findall(r'"(GET|POST|DELETE|PATCH|PUT) ([^ ?"]+)', log.read_text(errors="replace")[begin:]):
        path = re.sub(r"/api/\d\.\d/mlflow(-artifacts)?/", "", path)
        kind = f"{method} " + re.sub(r"(tr-|a-|d-)[0-9a-f-]+", "ID", re.sub(r"artifacts/.*", "artifacts/…", path))
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda text: str(pathlib.Path(text).resolve()))
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--database", type=pathlib.Path)
    parser.add_argument("--user", default="user-to-be-forgotten")
    parser.add_argument("--output", type=pathlib.Path)
    for name, default in {"traces": 2000, "workers": 1, "rest": 1, "spans": 1, "runs": "dry_run,deletion,again", "timeout": 600, "heavy": 0.05}.items():
        parser.add_argument("--" + name, type=type(default), default=default)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    has_postgresql = importlib.util.find_spec("psycopg2") and list(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if options.store == "postgresql" and not has_postgresql:
        print("SKIPPED: PostgreSQL and psycopg2 are not both installed")
        sys.exit(SKIPPED)
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(options.timeout)
    user, faults = options.user.encode(), []
    with contextlib.ExitStack() as open_now:
        folder = pathlib.Path(open_now.enter_context(tempfile.TemporaryDirectory()))
        store = None
        if options.store == "postgresql":
            from postgresql import postgresql

            store = open_now.enter_context(postgresql(folder, ("-c", "autovacuum=off")))
        elif options.database:
            shutil.copy(options.database, folder / "mlflow.db")
        uri = open_now.enter_context(mlflow_server(folder, store, options.workers))
        if not options.database:
            write_traces(uri, options.traces, options.heavy, options.user)
        if store:
            sql(store, "ANALYZE", "CHECKPOINT")
        before = files_with(user, folder)
        rest = fingerprints(uri, options.user) if options.rest else {}
        result: dict = {"store": options.store, "files_with_the_id_before": before, "runs": {}}
        command = [options.program, "forget", "--user", options.user, "--tracking-uri", uri, "--json", *["--spans"] * options.spans]
        for name in options.runs.split(","):
            more = ["--yes"] * (name == "deletion")
            begin = (folder / "mlflow.log").stat().st_size
            began, used = time.monotonic(), processor_seconds(folder)
            done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
            seconds, used = time.monotonic() - began, processor_seconds(folder) - used
            if done.returncode or done.stderr:
                sys.exit(f"{name}: {done}")
            receipt = json.loads(done.stdout)
            asked = requests_in(folder / "mlflow.log", begin)
            places = {row["what"]: [row["found"], row["deleted"]] for row in receipt["places"]}
            result["runs"][name] = {"seconds": round(seconds, 1), "processor_seconds_of_the_server": round(used, 1), "requests": sum(asked.values()), "by_kind": asked, "found_and_deleted": places}
            if name == "deletion" and not receipt["complete"]:
                faults.append(f"the receipt is not complete: {receipt}")
        if result["runs"].get("again", {}).get("found_and_deleted"):
            faults.append("a second run finds something")
        result["files_with_the_id_after"] = files_with(user, folder)
        if store:
            look_into_postgresql(store, folder, user, result, faults)
        else:
            vacuum(folder / "mlflow.db")
            if left := files_with(user, folder):
                faults.append(f"the ID is still in {left}")
        if options.rest:
            after = fingerprints(uri, options.user)
            result["traces_of_others"] = len(after)
            if differ := [trace for trace in rest if trace in after and after[trace] != rest[trace]]:
                faults.append(f"changed: {differ[:3]}")
            # One of them named the user in a span.
            if len(rest) - len(after) > 1 or not after.keys() <= rest.keys():
                faults.append(f"{len(rest)} traces of others before, {len(after)} after")
    finish(result, options.output, faults)


def look_into_postgresql(store: str, folder: pathlib.Path, user: bytes, result: dict, faults: list[str]) -> None:
    """Where the ID is after each of the things that an administrator does."""
    steps = result["postgresql"] = {}
    look = lambda name: steps.update({name: {"data": files_with(user, folder, ("data/pg_wal",)), "wal": sum(files_with(user, folder / "data/pg_wal").values())}})  # noqa: E731, E501
    sql(store, "CHECKPOINT")
    look("deleted")
    sql(store, "VACUUM", "CHECKPOINT")
    look("VACUUM")
    sql(store, "VACUUM (FULL, ANALYZE)", "CHECKPOINT")
    look("VACUUM (FULL, ANALYZE)")
    sql(store, "VACUUM FULL pg_statistic", "CHECKPOINT")
    look("VACUUM FULL pg_statistic")
    if steps["VACUUM FULL pg_statistic"]["data"]:
        faults.append(f"the ID is still in {steps['VACUUM FULL pg_statistic']['data']}")
    # Segments of the log are renamed and used again with what they hold, until they are written over.
    for _ in range(40):
        sql(store, "SELECT pg_switch_wal()", "CHECKPOINT")
    look("after 40 segments of the log")
    if not steps["deleted"]["wal"] or steps["after 40 segments of the log"]["wal"]:
        faults.append(f"the log: {steps}")


if __name__ == "__main__":
    main()
