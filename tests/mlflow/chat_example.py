# SPDX-License-Identifier: Apache-2.0
"""Runs the chat example as a user does: on its own conversations and on bad input, to a file and to MLflow."""
import base64
import collections
import json
import os
import pathlib
import subprocess
import tempfile
import time

import mlflow
from google.protobuf import json_format
from mlflow import MlflowClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

chat = os.environ["MLFLOW_TRACE_CHAT"]
uri = os.environ["MLFLOW_TRACKING_URI"]
conversations = pathlib.Path(os.environ["MLFLOW_TRACE_EXAMPLES"]) / "conversations.jsonl"
turns = [json.loads(line) for line in conversations.read_text().splitlines() if line]
assert len({t.get("user") for t in turns} - {None}) >= 4 and len({t.get("session") for t in turns} - {None}) >= 8
assert len(turns) >= 24 and any(t.get("stream") for t in turns)


def run(*arguments, stdin=None, cwd=None, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    return subprocess.run(
        [chat, *arguments], input=stdin, cwd=cwd, env=clean | environment, capture_output=True, text=True, timeout=120
    )


def traces_of(experiment):
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment).experiment_id
    return mlflow.search_traces(locations=[found], return_type="list", max_results=1000)


def identities(traces):
    return collections.Counter(
        (t.info.trace_metadata.get("mlflow.trace.user"), t.info.trace_metadata.get("mlflow.trace.session"), t.info.client_request_id)
        for t in traces
    )


# To MLflow: an experiment that does not exist yet.
experiment = f"chat-{time.time_ns()}"
to_mlflow = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": experiment}
done = run(**to_mlflow)
assert done.returncode == 0, done
traces = traces_of(experiment)
wanted = collections.Counter((t.get("user"), t.get("session"), t.get("request_id")) for t in turns)
assert identities(traces) == wanted, identities(traces) - wanted
experiment_id = traces[0].info.experiment_id
assert f"{uri}/#/experiments/{experiment_id}/traces" in done.stdout, done.stdout
assert any(t.info.state == "ERROR" for t in traces) and any(t.info.state == "OK" for t in traces)
kinds = {span.span_type for trace in traces for span in trace.data.spans}
assert kinds == {"AGENT", "RETRIEVER", "CHAT_MODEL", "TOOL"}, kinds
models = [s for t in traces for s in t.data.spans if s.span_type == "CHAT_MODEL" and s.status.status_code == "OK"]
assert all(m.attributes["mlflow.llm.model"] == "builtin" for m in models)
assert all(m.inputs["model"] == "builtin" and m.inputs["messages"][0]["role"] == "system" for m in models)
assert all(m.attributes["mlflow.chat.tokenUsage"]["output_tokens"] > 0 for m in models)
assert any(e.name == "mlflow.chunk.item.0" for m in models for e in m.events)

# Bad lines are named and skipped, the others recorded.
lines = [
    '{"user":"ok-1","session":"s","request_id":"r-1","message":"Where can I park?"}',
    '{"user":"","session":"s","message":"x"}',
    '{"user":"ok-1","session":"' + "s" * 300 + '","message":"x"}',
    '{"user":"a\\nb","message":"x"}',
    "this is not JSON",
    '{"user":null,"session":null,"message":"How do refunds work?"}',
    '{"user":"a","user":"b","message":"x"}',
    '{"user":"ok-1","request_id":"' + "r" * 51 + '","message":"x"}',
    '{"user":7,"message":"x"}',
    '{"user":"ok-1"}',
    '{"user":"None","session":"\\"quoted\\"","message":"Where can I park?"}',
]
experiment = f"chat-bad-{time.time_ns()}"
done = run("-", stdin="\n".join(lines) + "\n", **(to_mlflow | {"MLFLOW_EXPERIMENT_NAME": experiment}))
assert done.returncode == 0, done
said = done.stderr.splitlines()
for number, words in {
    2: ["user", "empty"], 3: ["session", "300 characters"], 4: ["user", "control character"], 5: ["not JSON"],
    7: ["user", "twice"], 8: ["request_id", "51 characters"], 9: ["user", "string"], 10: ["message", "missing"],
}.items():
    line = next((s for s in said if s.startswith(f"line {number}:")), "")
    assert all(word in line for word in words), (number, words, said)
assert len(said) == 8, said
assert identities(traces_of(experiment)) == collections.Counter(
    [("ok-1", "s", "r-1"), (None, None, None), ("None", '"quoted"', None)]
)

# What cannot start says so in one line.
for environment, words in [
    ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}, "127.0.0.1:1"),
    ({"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_ID": "987654321"}, "experiment ID 987654321 does not exist"),
    ({"MLFLOW_TRACKING_URI": "127.0.0.1:5000"}, "MLFLOW_TRACKING_URI"),
]:
    done = run(**environment)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, done

# To a file, in the OpenTelemetry Collector's format.
with tempfile.TemporaryDirectory() as folder:
    done = run(cwd=folder)
    assert done.returncode == 0, done
    spans = []
    for line in (pathlib.Path(folder) / "traces.jsonl").read_text().splitlines():
        document = json.loads(line)
        for resource in document["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    for field in ("traceId", "spanId", "parentSpanId"):
                        if field in span:  # protobuf's own JSON has base64 where OTLP has hexadecimal
                            span[field] = base64.b64encode(bytes.fromhex(span[field])).decode()
        request = json_format.ParseDict(document, ExportTraceServiceRequest())
        spans += [s for r in request.resource_spans for sc in r.scope_spans for s in sc.spans]
    roots = [{a.key: a.value.string_value for a in s.attributes} for s in spans if not s.parent_span_id]
    found = collections.Counter((r.get("user.id"), r.get("session.id"), r.get("mlflow.clientRequestId")) for r in roots)
    assert found == wanted, found - wanted
    for word in ("user-1042", "店舗-17", "(anonymous)", "(no session)"):
        assert word in done.stdout, done.stdout
print(f"{len(turns)} turns to MLflow and to a file")
