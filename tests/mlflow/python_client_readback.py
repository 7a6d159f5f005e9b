# SPDX-License-Identifier: Apache-2.0
"""Runs the program of python_client_test.cpp with MLflow's own client, and compares what the server has of the two."""

import json

import _reading
import mlflow
from _reading import check, check_same
from mlflow.entities import Document, SpanEvent, SpanType

expected = _reading.expected()


class no_such_order(RuntimeError):
    pass


@mlflow.trace(span_type=SpanType.RETRIEVER)
def retrieve(question, k):
    return [
        {"page_content": "Refunds take 5 days.", "metadata": {"doc_uri": "refunds.md"}},
        {"page_content": "Prices", "metadata": {"doc_uri": "prices.md"}},
    ]


@mlflow.trace(span_type=SpanType.TOOL)
def look_up(order):
    raise no_such_order("no such order: 47")


@mlflow.trace
def stream(n):
    return list(range(n))


@mlflow.trace(span_type=SpanType.CHAIN)
def chat(message, history):
    mlflow.update_current_trace(
        metadata={"mlflow.trace.user": "user-1042", "mlflow.trace.session": "session-7", "app.tenant": "north"},
        tags={"team": "support"},
        client_request_id="req-1",
    )
    retrieve(message, 2)
    try:
        look_up(47)
    except no_such_order:
        pass
    stream(3)
    with mlflow.start_span("generate", span_type=SpanType.CHAT_MODEL) as span:
        span.set_inputs({"prompt": message, "temperature": 0.5})
        span.set_attributes({"mlflow.llm.model": "small-1", "mlflow.llm.provider": "own"})
        span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15})
        span.set_attributes({"cached": False, "tries": 1})
        span.add_event(SpanEvent("first token", attributes={"after_ms": 17}))
        span.set_outputs({"text": "5 days", "finish": None})
    return "5 days €"


def record() -> str:
    experiment = mlflow.set_experiment(expected["experiment"] + ", Python").experiment_id
    chat("How long do refunds take?", [{"role": "user", "content": "hi"}])
    try:
        look_up(47)
    except no_such_order:
        pass
    mlflow.flush_trace_async_logging()
    return experiment


# What differs, and why. Everything else must be equal in value and type.
DIFFERENCES = {
    "attributes.mlflow.traceRequestId": "an ID",
    "tags.mlflow.artifactLocation": "holds an ID",
    "attributes.user.id": "OTLP carries the identity as an attribute of the root span",
    "attributes.session.id": "the same",
    "attributes.mlflow.traceTag.mlflow.traceName": "OTLP carries the name and the tags likewise",
    "attributes.mlflow.traceTag.team": "the same",
    "metadata.mlflow.user": "who runs a server is not told to all who read its traces",
    "metadata.mlflow.source.name": "another program",
    "metadata.mlflow.source.git.branch": "Python asks git when it runs; C++ is told the commit when it is built",
    "metadata.mlflow.source.git.commit": "the same",
    "metadata.mlflow.source.git.repoURL": "the same",
    "metadata.mlflow.trace.sizeBytes": "of Python's own encoding",
    "metadata.mlflow.trace.sizeStats": "the same",
    "metadata.mlflow.traceInputs": "deprecated: the previews hold the same",
    "metadata.mlflow.traceOutputs": "the same",
}
# Of a trace with user and session only, which takes one request together with many others.
DIFFERENCES_OF_THE_SHORT_WAY = {
    "metadata.mlflow.trace_schema.version": "sent with the traces that have metadata of their own",
    "metadata.mlflow.source.type": "the same",
    "metadata.mlflow.trace.infoFinalized": "set by the request that such a trace does without",
}


def told_event(event) -> tuple:
    attributes = dict(event.attributes)
    attributes.pop("exception.stacktrace", None)  # C++ has none
    if "exception.type" in attributes:
        attributes["exception.type"] = attributes["exception.type"].split("::")[-1]
    return event.name, attributes


def told_span(span, spans) -> dict:
    names = {each.span_id: each.name for each in spans}
    return {
        "name": span.name,
        "type": span.span_type,
        "parent": names.get(span.parent_id),
        "status": span.status.status_code.value,
        "description": span.status.description.split("::")[-1],  # Python leaves out the module of an exception
        "inputs": span.inputs,
        "outputs": span.outputs,
        "attributes": dict(span.attributes),
        "events": [list(told_event(event)) for event in span.events],
        "takes_time": span.end_time_ns > span.start_time_ns,
    }


def as_json(text: str | None) -> object:
    try:
        return json.loads(text or "null")
    except ValueError:
        return text


def told(trace) -> dict:
    info = trace.info
    return {
        "state": info.state.value,
        "request_preview": as_json(info.request_preview),
        "response_preview": as_json(info.response_preview),
        "client_request_id": info.client_request_id,
        "tokens": info.token_usage,
        "tags": dict(info.tags),
        "metadata": dict(info.trace_metadata),
        "spans": {span.name: told_span(span, trace.data.spans) for span in trace.data.spans},
    }


def by_name(experiment: str) -> dict:
    found = {trace.info.tags["mlflow.traceName"]: told(trace) for trace in _reading.traces_of(experiment)}
    check(sorted(found) == ["chat", "look_up"], f"traces {sorted(found)}")
    return found


def compare(where: str, path: str, ours: object, theirs: object, differences: dict) -> None:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if f"{path}.{key}" not in differences:
                compare(f"{where}, {key}", key, ours.get(key), theirs.get(key), differences)
    else:
        check_same(ours, theirs, where)


theirs = by_name(record())
ours = by_name(_reading.experiment_id(expected["experiment"]))
compare("chat", "", ours["chat"], theirs["chat"], DIFFERENCES)
compare("look_up", "", ours["look_up"], theirs["look_up"], DIFFERENCES | DIFFERENCES_OF_THE_SHORT_WAY)
check(ours["chat"]["metadata"]["mlflow.source.name"].endswith("python_client_test"), "the name of the source")
check(_reading.checks > 100, "something was compared")
_reading.finish()
