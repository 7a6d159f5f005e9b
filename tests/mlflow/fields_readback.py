# SPDX-License-Identifier: Apache-2.0
"""Compares, field by field, what fields_test.cpp recorded with what MLflow's own client reads."""
import json
import os
import time

import mlflow
from mlflow import MlflowClient

expected = json.load(open(os.environ["MLFLOW_TRACE_EXPECTED"]))
client = MlflowClient()


def traces_of(experiment):
    found = client.get_experiment_by_name(experiment)
    assert found, experiment
    return mlflow.search_traces(locations=[found.experiment_id], return_type="list", max_results=100)


def check(actual, wanted, what):
    assert actual == wanted, f"{what}: {actual!r} instead of {wanted!r}"


full_experiment, failing, hostile = expected["experiments"]

# A full trace.
full = expected["full"]
(trace,) = traces_of(full_experiment)
info = trace.info
check(info.trace_id, full["trace_id"], "trace ID")
check(info.state, "OK", "state")
check(info.client_request_id, "request-1", "client request ID")
metadata = info.trace_metadata
check(metadata["mlflow.trace.user"], "user-1", "user")
check(metadata["mlflow.trace.session"], "session-1", "session")
check(metadata["app.segment"], "pro", "own key")
check(json.loads(metadata["mlflow.trace.tokenUsage"]), {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}, "usage")
check(json.loads(metadata["mlflow.trace.cost"])["total_cost"], 0.75, "cost")
check(info.tags["mlflow.traceName"], 'chat "turn"', "name")
check(info.tags["note"], 'line one\nline "two"\t日本', "tag that was set twice")
check(info.tags["looks/like.json"], "true", "tag that looks like JSON")
check(info.tags["long"], "l" * 4096, "long tag")
assert abs(info.request_time / 1000 - time.time()) < 600, info.request_time
assert "hello €" in info.request_preview and "answer" in info.response_preview, info
assert full["experiment_url"].endswith(f"/#/experiments/{info.experiment_id}/traces"), full["experiment_url"]

spans = {span.name: span for span in trace.data.spans}
check(sorted(spans), ['chat "turn"', "complete", "elsewhere", "inner", "search"], "spans")
root = spans['chat "turn"']
nested = {"list": [1, 2.5, None, True], "text": '日本 "q"\n'}
check(root.span_type, "AGENT", "root type")
check(root.parent_id, None, "root parent")
check(root.inputs, {"message": "hello €", "n": 3, "nested": nested}, "root inputs")
check(root.outputs, "answer", "root outputs")
for name, parent, kind in [
    ("search", root, "RETRIEVER"),
    ("complete", root, "CHAT_MODEL"),
    ("elsewhere", root, "TOOL"),
    ("inner", spans["complete"], "UNKNOWN"),
]:
    span = spans[name]
    check(span.parent_id, parent.span_id, f"parent of {name}")
    check(span.span_type, kind, f"type of {name}")
    check(span.status.status_code, "OK", f"status of {name}")
    assert root.start_time_ns <= parent.start_time_ns <= span.start_time_ns <= span.end_time_ns <= root.end_time_ns, name
search = spans["search"]
check(search.span_id, full["span_ids"]["search"], "span ID")
check(search.outputs, ["first", "second"], "list as output")
for key, value in {
    "text": "plain", "looks.true": "true", "looks.number": "123", "looks.object": '{"q":1}', "looks.text": '"quoted"',
    "looks.nan": "NaN", "spaced": " 1 ", "empty": "", "unicode": "ключ 🔑", "smallest": -(2**63), "largest": 2**63 - 1,
    "huge": str(2**64 - 1), "yes": True, "half": 0.5, "whole": 2.0, "list": [1, 2, 3], "map": {"a": 1.5}, "nested": nested,
}.items():
    check(search.attributes[key], value, f"attribute {key}")
    check(type(search.attributes[key]), type(value), f"type of attribute {key}")
(event,) = search.events
check(event.name, "cache miss", "event")
check(dict(event.attributes), {"key": "k1", "size": 7}, "event attributes")
complete = spans["complete"]
check(complete.attributes["mlflow.llm.model"], "model-1", "model")
check(complete.attributes["mlflow.llm.provider"], "openai", "provider")
check(int(complete.attributes["mlflow.spanLogLevel"]), 30, "log level")
check(complete.outputs, 'Hello"!"', "text as output")
check([e.name for e in complete.events], [f"mlflow.chunk.item.{i}" for i in range(3)], "chunks")
check([json.loads(e.attributes["mlflow.chunk.value"]) for e in complete.events], ["Hel", "lo", '"!"'], "chunk values")
check(spans["inner"].attributes["bad � key"], "bad �( value", "invalid UTF-8")

# A failing one.
(trace,) = traces_of(failing)
check(trace.info.state, "ERROR", "state")
check(trace.info.trace_metadata["mlflow.trace.user"], "user-1", "user from an argument")
outer, unwound = (next(s for s in trace.data.spans if s.name == n) for n in ("outer", "unwound"))
check(outer.inputs, {"user": "user-1", "session": "session-1", "text": "x"}, "named arguments")
check(outer.status.status_code, "ERROR", "status")
check(outer.status.description, 'no such "thing": x', "message")
check(outer.events[0].name, "exception", "exception event")
check(outer.events[0].attributes["exception.type"], "std::out_of_range", "exception type")
check(unwound.status.status_code, "ERROR", "status of a span that was unwound")

# Hostile input.
stored = {trace.info.trace_id: trace.info for trace in traces_of(hostile)}
check(len(stored), 2, "traces in spite of refused values")
anonymous = stored[expected["anonymous"]].trace_metadata
assert "mlflow.trace.user" not in anonymous and "mlflow.trace.session" not in anonymous, anonymous
twice = stored[expected["twice"]]
check(twice.trace_metadata["mlflow.trace.user"], "first", "user that was set twice")
check(twice.tags["kept"], "yes", "tag by OTLP")

# Sent twice.
(trace,) = traces_of(expected["sent_twice"])
check(len(trace.data.spans), 2, "spans")
check(trace.info.trace_metadata["mlflow.trace.user"], "user-1", "user")
check(json.loads(trace.info.trace_metadata["mlflow.trace.tokenUsage"])["total_tokens"], 7, "tokens")
print("all fields as recorded")
