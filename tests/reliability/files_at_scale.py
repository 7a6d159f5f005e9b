#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many traces through a file: the library writes them, mlflow_sessions analyses and exports them, DuckDB reads the trace
file and the export in place. Each has the traces, sessions, errors and tokens of every user that the writer recorded.

    files_at_scale.py WRITER PROGRAM [--traces 10000000] [--users 10000] [--most-megabytes 512] [--at-once 1]
                      [--folder FOLDER] [--output result.json]

WRITER is the built file_writer.cpp, PROGRAM the built mlflow_sessions. DuckDB is that of PyPI; without it, its two steps are
left out. Each step is a process of its own; its seconds and its largest resident memory are recorded. AT-ONCE is how many
steps run at the same time. PROGRAM may use MOST-MEGABYTES. The files need 2.5 KB per trace, and the temporary file of
PROGRAM another 2 KB. In FOLDER they stay, and a second run there does only the steps that the first one has not ended.
"""

import argparse
import concurrent.futures
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from _delivery import finish  # noqa: E402

# In place: the traces of a file of OTLP JSON lines, by user.
OF_TRACE_FILE = """
WITH span AS (
    SELECT unnest(scope.spans) AS span
    FROM (SELECT unnest(resource.scopeSpans) AS scope FROM (SELECT unnest(resourceSpans) AS resource FROM read_json('{}',
        format = 'newline_delimited', columns = {{resourceSpans: 'STRUCT(scopeSpans STRUCT(spans STRUCT(traceId VARCHAR,
        parentSpanId VARCHAR, status STRUCT(code INTEGER), attributes STRUCT("key" VARCHAR, "value" STRUCT(
        stringValue VARCHAR))[])[])[])[]'}})))
), trace AS (
    SELECT span.traceId, max(attribute['user.id']) AS "user", max(attribute['session.id']) AS "session",
        count(*) FILTER (span.parentSpanId IS NULL AND span.status.code = 2) AS errors,
        sum((attribute['mlflow.chat.tokenUsage']->>'input_tokens')::BIGINT) AS input_tokens,
        sum((attribute['mlflow.chat.tokenUsage']->>'output_tokens')::BIGINT) AS output_tokens
    FROM (SELECT span, map_from_entries([(a."key", a."value".stringValue) FOR a IN span.attributes]) AS attribute FROM span)
    GROUP BY span.traceId
)
SELECT "user", count(*), count(DISTINCT "session"), sum(errors)::BIGINT, sum(input_tokens)::BIGINT,
    sum(output_tokens)::BIGINT
FROM trace GROUP BY "user"
"""
# The same of what `mlflow_sessions export` writes.
OF_EXPORT = """
SELECT "user", count(*), count(DISTINCT "session"), count(*) FILTER (status = 'ERROR'), sum(input_tokens)::BIGINT,
    sum(output_tokens)::BIGINT
FROM read_json('{}', format = 'newline_delimited', sample_size = -1, maximum_depth = 2) GROUP BY "user"
"""


def query(sql: str, folder: str) -> None:
    """In a process of its own."""
    import duckdb

    with duckdb.connect(config={"temp_directory": folder, "memory_limit": "4GB"}) as store:
        rows = store.sql(sql).fetchall()
    print(json.dumps({user: counts for user, *counts in rows}))


def step(command: list, output: pathlib.Path, folder: pathlib.Path) -> dict:
    begin = time.monotonic()
    with output.open("wb") as written:
        child = os.posix_spawn(command[0], list(map(str, command)), os.environ | {"TMPDIR": str(folder)},
                               file_actions=[(os.POSIX_SPAWN_DUP2, written.fileno(), 1)])  # fmt: skip
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - begin
    if status != 0:
        sys.exit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return {"seconds": round(seconds, 1), "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "megabytes": round(usage.ru_maxrss * 1024 / 1e6, 1)}  # fmt: skip


def of_rows(text: str) -> dict[str, list[int]]:
    names = ("interactions", "sessions", "errors", "input_tokens", "output_tokens")
    return {row["user"]: [row[name] for name in names] for row in json.loads(text)}


def sums(users: dict[str, list[int]]) -> dict[str, int]:
    names = ("traces", "sessions", "errors", "input_tokens", "output_tokens")
    return dict(zip(names, map(sum, zip(*users.values())), strict=True)) | {"users": len(users)}


class Run:
    def __init__(self, folder: pathlib.Path):
        self.folder, self.state = folder, folder / "steps.json"
        self.steps = json.loads(self.state.read_text()) if self.state.exists() else {}
        self.lock = threading.Lock()

    def step(self, name: str, command: list, file: pathlib.Path | None = None, traces: int = 1) -> str:
        """What the command prints. FILE is what it writes."""
        printed = self.folder / f"{name}.json"
        if name not in self.steps:
            self.steps[name] = step(command, printed, self.folder)
            if file:
                self.steps[name]["bytes_per_trace"] = round(file.stat().st_size / traces)
            with self.lock:
                self.state.write_text(json.dumps(self.steps))
        return printed.read_text()


def run(options: argparse.Namespace, folder: pathlib.Path) -> None:
    faults, this = [], Run(folder)
    traces, export = folder / "traces.jsonl", folder / "export.jsonl"
    written = json.loads(this.step("write", [options.writer, traces, options.traces, options.users], traces, options.traces))
    if (count := sums(written)["traces"]) != options.traces:
        faults.append(f"{count} traces are written")

    def check(kind: str, found: dict[str, list[int]]) -> None:
        different = [user for user in written.keys() | found.keys() if written.get(user) != found.get(user)]
        if different:
            one = different[0]
            faults.append(f"{kind}: {len(different)} users differ, {one}: {found.get(one)}, written {written.get(one)}")

    def query(kind: str, sql: str, file: pathlib.Path) -> None:
        if has_duckdb:
            check(kind, json.loads(this.step(kind, [sys.executable, __file__, "--query", sql.format(file), folder])))

    def of_export() -> None:
        this.step("export", [*read, "export", "--output", export], export, options.traces)
        query("duckdb_of_export", OF_EXPORT, export)

    def of_users() -> None:
        check("users", of_rows(this.step("users", [*read, "--json", "users"])))

    read, has_duckdb = [options.program, "--tracking-uri", traces], importlib.util.find_spec("duckdb")
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as steps:
        ahead = [steps.submit(of_export), steps.submit(of_users)]
        ahead.append(steps.submit(query, "duckdb_of_trace_file", OF_TRACE_FILE, traces))
        for each in ahead:
            each.result()
    if not has_duckdb:
        print("DuckDB is not installed: its steps are left out", file=sys.stderr)
        with export.open() as lines:
            if (count := sum(1 for _ in lines)) != options.traces:
                faults.append(f"export: {count} traces")
    for kind in ("users", "export"):
        if this.steps[kind]["megabytes"] > options.most_megabytes:
            faults.append(f"{kind} used {this.steps[kind]['megabytes']} MB")
    finish({"written": sums(written), "steps_at_once": options.at_once, "steps": this.steps, "equal": not faults}, options.output, faults)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("writer", type=lambda text: str(pathlib.Path(text).resolve()))
    parser.add_argument("program", type=lambda text: str(pathlib.Path(text).resolve()))
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path)
    for name, default in {"traces": 10_000_000, "users": 10_000, "most-megabytes": 512, "at-once": 1}.items():
        parser.add_argument("--" + name, type=int, default=default)
    options = parser.parse_args()
    if options.folder:
        run(options, options.folder.resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            run(options, pathlib.Path(folder))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--query"]:
        query(*sys.argv[2:])
    else:
        main()
