# SPDX-License-Identifier: Apache-2.0
"""Every trace of volume_test.cpp is stored once, with its own user, session and spans, and its session finds it."""

import collections

import _reading
from _reading import check, check_same

told = _reading.expected()
experiment = _reading.experiment_id(told["experiment"])
found = _reading.without_duplicates(_reading.traces_of(experiment), "traces")
check_same(len(found), 2000, "number of traces")
check_same(sorted(found), sorted(trace["trace_id"] for trace in told["traces"]), "traces")

by_session = collections.defaultdict(set)
for trace in told["traces"]:
    by_session[trace["session"]].add(trace["trace_id"])
    if trace["trace_id"] not in found:
        continue
    stored = found[trace["trace_id"]]
    where = trace["trace_id"]
    for part in ("user", "session"):
        check_same(stored.info.trace_metadata.get(f"mlflow.trace.{part}"), trace[part], f"{where}: {part}")
    check_same(
        sorted((span.span_id, span.name, span.parent_id) for span in stored.data.spans),
        sorted((span["id"], span["name"], span["parent"]) for span in trace["spans"]),
        f"{where}: spans",
    )

check_same(len(by_session), 64, "number of sessions")
check_same(len({trace["user"] for trace in told["traces"]}), 16, "number of users")
for session, trace_ids in by_session.items():
    query = f"metadata.`mlflow.trace.session` = '{session}'"
    right = {trace.info.trace_id for trace in _reading.traces_of(experiment, query, spans=False)}
    check_same(right, trace_ids, query)
_reading.finish()
