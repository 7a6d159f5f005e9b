# SPDX-License-Identifier: Apache-2.0
"""Reads back with MLflow's client what identities_test.cpp recorded, and runs the searches of MLflow's documentation."""
import json
import os

import mlflow
from mlflow import MlflowClient

expected = json.load(open(os.environ["MLFLOW_TRACE_EXPECTED"]))
client = MlflowClient()
experiment = client.get_experiment_by_name(expected["experiment"]).experiment_id


def search(filter_string=None):
    return mlflow.search_traces(
        locations=[experiment], filter_string=filter_string, max_results=5000, return_type="list", include_spans=False
    )


stored = {trace.info.trace_id: trace.info for trace in search()}
assert len(stored) == len(expected["traces"]), (len(stored), len(expected["traces"]))
for one in expected["traces"]:
    info = stored[one["trace_id"]]
    metadata = info.trace_metadata
    assert metadata.get("mlflow.trace.user") == one.get("user"), (one, metadata)
    assert metadata.get("mlflow.trace.session") == one.get("session"), (one, metadata)
    assert metadata.get("app.note") == one.get("note"), (one, metadata)
    assert info.client_request_id == one.get("client_request_id"), (one, info.client_request_id)
    assert info.tags.get("app.tag") == one.get("tag"), (one, info.tags)
    assert info.tags["mlflow.traceName"] == "turn"
    assert info.state == "OK"


def quoted(text):
    """The text as a literal of MLflow's filter, which has no escapes; None where it cannot be written."""
    for quote in "'\"":
        if quote not in text and not text.endswith("\\"):
            return quote + text + quote
    return None


def ids(traces):
    return sorted(trace.info.trace_id for trace in traces)


def matching(**wanted):
    return sorted(o["trace_id"] for o in expected["traces"] if all(o.get(k) == v for k, v in wanted.items()))


searched = 0
for one in {one["user"]: one for one in expected["traces"] if "user" in one}.values():
    user, session = quoted(one["user"]), quoted(one["session"])
    if not user or not session:
        continue
    by_user = f"metadata.`mlflow.trace.user` = {user}"
    by_session = f"metadata.`mlflow.trace.session` = {session}"
    assert ids(search(by_user)) == matching(user=one["user"]), by_user
    assert ids(search(by_session)) == matching(session=one["session"]), by_session
    assert ids(search(f"{by_user} AND {by_session}")) == matching(user=one["user"], session=one["session"])
    searched += 1
assert searched > 25, searched

# As an attribute of a span, too, text stays text.
for one in expected["traces"][:-1:2]:
    span = client.get_trace(one["trace_id"]).data.spans[0]
    assert span.attributes["app.id"] == one["user"], (one, span.attributes)
print(f"{len(stored)} traces and {searched} users as recorded")
