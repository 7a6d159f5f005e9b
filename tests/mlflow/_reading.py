# SPDX-License-Identifier: Apache-2.0
"""What was recorded, read back from the server with MLflow's own client and compared field by field."""

import json
import math
import os
import pathlib
import sys

import mlflow

client = mlflow.MlflowClient()
faults: list[str] = []
checks = 0


def expected() -> dict:
    return json.loads(pathlib.Path(os.environ["MLFLOW_TRACE_EXPECTED"]).read_text())


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"


def check(good: bool, what: str) -> None:
    global checks
    checks += 1
    if not good:
        faults.append(what)


def is_same(found: object, told: object) -> bool:
    """Equal in value and type: 1, 1.0 and true are three values. {"float": "nan"} stands for what JSON lacks."""
    if isinstance(told, dict) and told.keys() == {"float"}:
        number = float(told["float"])
        return type(found) is float and (found == number or (math.isnan(number) and math.isnan(found)))
    if type(found) is not type(told):
        return False
    if isinstance(told, dict):
        return found.keys() == told.keys() and all(is_same(found[key], told[key]) for key in told)
    if isinstance(told, list):
        return len(found) == len(told) and all(map(is_same, found, told))
    return found == told


def check_same(found: object, told: object, what: str) -> None:
    check(is_same(found, told), f"{what}: {shown(found)} is stored, {shown(told)} was recorded")


def experiment_id(name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        sys.exit(f"no experiment {name!r}")
    return found.experiment_id


def traces_of(experiment: str, query: str | None = None, spans: bool = True) -> list:
    return mlflow.search_traces(
        locations=[experiment],
        filter_string=query,
        max_results=1_000_000,
        include_spans=spans,
        return_type="list",
    )


def without_duplicates(traces: list, what: str) -> dict:
    by_id = {trace.info.trace_id: trace for trace in traces}
    check(len(by_id) == len(traces), f"{what}: {len(traces)} traces of {len(by_id)} IDs")
    return by_id


# What MLflow itself and the library add to the metadata and tags of a trace; the rest is the application's.
ADDED_METADATA = {
    "mlflow.trace.sizeBytes",
    "mlflow.trace.sizeStats",
    "mlflow.trace.tokenUsage",
    "mlflow.trace.cost",
    "mlflow.trace.infoFinalized",
    "mlflow.trace_schema.version",
    "mlflow.source.name",
    "mlflow.source.type",
}
ADDED_TAGS = {"mlflow.traceName", "mlflow.artifactLocation", "mlflow.trace.spansLocation"}


def check_metadata(info, told: dict, where: str) -> None:
    for key in sorted(info.trace_metadata.keys() | told["metadata"].keys()):
        if key not in ADDED_METADATA:
            check_same(info.trace_metadata.get(key), told["metadata"].get(key), f"{where}: metadata {key!r}")
    for key in sorted(info.tags.keys() | told["tags"].keys()):
        if key not in ADDED_TAGS:
            check_same(info.tags.get(key), told["tags"].get(key), f"{where}: tag {key!r}")
    check_same(info.client_request_id, told["client_request_id"], f"{where}: client_request_id")
    check_same(info.tags.get("mlflow.traceName"), told["name"], f"{where}: name")
    check_same(info.state.value, told["state"], f"{where}: state")


def finish() -> None:
    for fault in faults[:50]:
        print(fault)
    if len(faults) > 50:
        print(f"and {len(faults) - 50} more")
    if faults or not checks:
        sys.exit(f"{len(faults)} of {checks} checks failed")
    print(f"{checks} checks passed")
