# SPDX-License-Identifier: Apache-2.0
"""Reads what record.cpp stored with the client of the MLflow that runs this, and compares:  _readback.py EXPECTED"""

import json
import pathlib
import sys

import mlflow

told = [json.loads(line) for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
gives_own_ids = mlflow.__version__.startswith("3.1.")
experiment = mlflow.MlflowClient().get_experiment_by_name("stores").experiment_id
found = mlflow.MlflowClient().search_traces(experiment_ids=[experiment], max_results=100)
assert len(found) == len(told) + 1, f"{len(found)} traces for {len(told) + 1}: one of them twice or not at all"


def own_id(trace) -> str:
    return trace.info.tags["mlflow_trace.trace_id"] if gives_own_ids else trace.info.trace_id


traces = {own_id(trace): trace for trace in found}
(across,) = (traces.pop(line["across"]) for line in told if "across" in line)
names = {span.name: span for span in across.data.spans}
assert len(across.data.spans) == 2 and names["back"].parent_id == names["front"].span_id, across.data.spans
tags, metadata = across.info.tags, across.info.trace_metadata
assert (tags["mlflow.traceName"], tags["of"], tags["mlflow_trace.continued"]) == ("front", "front", "false"), tags
assert metadata["mlflow.trace.user"] == "user-1042" and json.loads(metadata["mlflow.traceInputs"]) == "asked", metadata
for line in told:
    if "across" in line:
        continue
    trace, text = traces.pop(line["trace"]), line["text"]
    info = trace.info
    metadata, tags = info.trace_metadata, info.tags
    assert metadata["mlflow.trace.user"] == text and metadata["mlflow.trace.session"] == "s" + text, metadata
    assert metadata["app.segment"] == "pro" and tags["kind"] == text, (metadata, tags)
    assert tags["mlflow.traceName"] == "chat " + text, tags
    request_id = tags["mlflow.clientRequestId"] if gives_own_ids else info.client_request_id
    assert request_id == "r" + text, request_id
    assert info.state.value == "OK", info.state
    usage = json.loads(metadata["mlflow.trace.tokenUsage"])
    assert usage == {"input_tokens": 31, "output_tokens": 52, "total_tokens": 83}, usage
    cost = json.loads(metadata["mlflow.trace.cost"])
    assert cost == {"input_cost": 0.25, "output_cost": 0.5, "total_cost": 0.75}, cost
    asked, answered = (
        (metadata["mlflow.traceInputs"], metadata["mlflow.traceOutputs"])
        if gives_own_ids
        else (info.request_preview, info.response_preview)
    )
    assert json.loads(asked) == {"message": text} and json.loads(answered) == text, (asked, answered)

    spans = {span.name: span for span in trace.data.spans}
    assert len(trace.data.spans) == 5, [span.name for span in trace.data.spans]
    root, agent, model, late = (spans[name] for name in ("chat " + text, "agent", "generate", "late"))
    assert root.parent_id is None and agent.parent_id == late.parent_id == root.span_id and model.parent_id == agent.span_id
    assert root.inputs == {"message": text} and root.outputs == text, (root.inputs, root.outputs)
    assert model.span_type == "CHAT_MODEL" and late.span_type == "TASK", (model.span_type, late.span_type)
    values = [model.get_attribute(key) for key in ("text", "number", "yes", "big", "infinite")]
    assert values == [text, -0.5, True, 1 << 62, float("inf")], values
    assert late.get_attribute("text") == text
    assert root.start_time_ns <= model.start_time_ns <= model.end_time_ns <= root.end_time_ns <= late.end_time_ns
    assert model.status.status_code.value == "ERROR" and model.status.description, model.status
    event, thrown = model.events
    assert event.name == "event" and event.attributes == {"text": text, "n": 7}, event
    assert thrown.name == "exception" and thrown.attributes["exception.message"] == text, thrown
    if hasattr(model, "links"):
        (link,) = model.links
        assert (link.trace_id, link.span_id) == (line["trace"], root.span_id), link

(nobody,) = traces.values()
assert not {"mlflow.trace.user", "mlflow.trace.session"} & nobody.info.trace_metadata.keys(), nobody.info
assert nobody.info.state.value == "ERROR" and nobody.data.spans[0].status.description == "no answer", nobody.info
print(f"MLflow {mlflow.__version__}: {len(found)} traces are stored as they were recorded")
