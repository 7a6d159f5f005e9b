# SPDX-License-Identifier: Apache-2.0
"""A trace of the library and the same one of MLflow's own client, as that client reads them, field by field."""

import json

from _reading import check_same

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


def compare(where: str, path: str, ours: object, theirs: object, differences: dict) -> None:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if f"{path}.{key}" not in differences:
                compare(f"{where}, {key}", key, ours.get(key), theirs.get(key), differences)
    else:
        check_same(ours, theirs, where)
