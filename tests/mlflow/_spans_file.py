# SPDX-License-Identifier: Apache-2.0
"""Traces whose spans MLflow keeps as a file (the artifact `traces.json`), as older clients leave them."""

import json
import os
import urllib.request

import mlflow


def post(path: str, body: object, method: str = "POST") -> dict:
    uri, text = os.environ["MLFLOW_TRACKING_URI"], json.dumps(body).encode()
    request = urllib.request.Request(uri + path, text, {"Content-Type": "application/json"}, method=method)
    return json.loads(urllib.request.urlopen(request).read() or b"{}")


def write(info: dict, data: dict | None) -> None:
    """A trace with this information, and with spans as they are in such a file; or without the file."""
    stored = post("/api/3.0/mlflow/traces", {"trace": {"trace_info": info}})["trace"]["trace_info"]
    if data is not None:
        path = stored["tags"]["mlflow.artifactLocation"].replace("mlflow-artifacts:", "/api/2.0/mlflow-artifacts/artifacts")
        post(path + "/traces.json", data, "PUT")


def new_info(experiment: str, metadata: dict) -> dict:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    info = {"trace_id": "tr-" + os.urandom(16).hex(), "trace_location": location, "state": "OK"}
    return info | {"request_time": "2026-11-23T04:03:42Z", "trace_metadata": metadata}


def move_into_file(trace_id: str) -> None:
    """Moves the spans of a trace from the database into a file; all else stays as it is."""
    client = mlflow.MlflowClient()
    trace = client.get_trace(trace_id)
    info = trace.info.to_dict()
    info["tags"] = {key: value for key, value in info["tags"].items() if key not in ("mlflow.trace.spansLocation", "mlflow.artifactLocation")}
    info.pop("assessments", None)
    client.delete_traces(experiment_id=trace.info.experiment_id, trace_ids=[trace_id])
    write(info, trace.data.to_dict())
