# SPDX-License-Identifier: Apache-2.0
"""`mlflow_sessions report` against MLflow's own client: each trace of the page has the figures, feedback, messages and
spans with their exceptions that MLflow stores, also those of users with difficult IDs, and spans that it keeps as a file.
"""

import base64
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time as clock
import zlib

import _dataset
import _incident
import _spans_file
import mlflow
from _reading import check, check_same, experiment_id, finish, traces_of
from mlflow.entities import AssessmentSource

NAME = "report"


def blocks_of(page: pathlib.Path) -> dict[str, object]:
    found = re.findall(r'<script data-block="([a-z0-9]+)" type="([a-z/]+)">([^<]*)</script>', page.read_text())
    return {name: json.loads(zlib.decompress(base64.b64decode(text)) if kind == "text/deflate" else text) for name, kind, text in found}


def decoded(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def main() -> None:
    _dataset.write(NAME, 230, 60, 50)
    _incident.write(os.environ["MLFLOW_TRACKING_URI"], NAME, _incident.Incident("errors", 1, 60, clock.time()))
    experiment = experiment_id(NAME)
    recorded = traces_of(experiment, spans=False)
    failed = [one for one in recorded if one.info.state.value == "ERROR"]
    for trace in {one.info.trace_id for one in [*recorded[::9], *failed[:3]]}:
        _spans_file.move_into_file(trace)
    for number, trace in enumerate(recorded[:40]):
        source = AssessmentSource("HUMAN", f"user-{number}")
        mlflow.log_feedback(trace_id=trace.info.trace_id, name="helpful", value=number % 3 == 0, rationale=f"reason {number}", source=source)
    traces = {trace.info.trace_id: trace for trace in traces_of(experiment)}
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder, "report.html")
        command = [os.environ["MLFLOW_TRACE_SESSIONS"], "report", "--experiment", NAME, "--output", str(page)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"report: {done}")
        blocks = blocks_of(page)
    figures, about = blocks["figures"], blocks["about"]
    check_same(sorted(figures["id"]), sorted(traces), "traces")
    check_same(about["mlflow"], os.environ["MLFLOW_TRACKING_URI"].rstrip("/"), "the server to which traces are linked")
    said = {}
    for trace, name, value, *_ in figures["said"]:
        said.setdefault(trace, []).append((name, value))
    time = thrown = 0
    for at, id_ in enumerate(figures["id"]):
        trace, time = traces[id_], time + figures["time"][at]
        metadata = trace.info.trace_metadata
        told = lambda column, texts: figures[texts][figures[column][at]] if figures[column][at] >= 0 else None  # noqa: E731
        check_same(time, trace.info.request_time, f"{id_}: time")
        check_same(figures["duration"][at], trace.info.execution_duration, f"{id_}: duration")
        check_same(told("user", "users"), metadata.get("mlflow.trace.user"), f"{id_}: user")
        check_same(told("session", "sessions"), metadata.get("mlflow.trace.session"), f"{id_}: session")
        check_same(told("experiment", "experiments"), experiment, f"{id_}: experiment")
        check_same(figures["status"][at] == 2, trace.info.state.value == "ERROR", f"{id_}: status")
        usage = json.loads(metadata.get("mlflow.trace.tokenUsage", "{}"))
        check_same(figures["input"][at], usage.get("input_tokens", 0), f"{id_}: tokens")
        judged = [(one.name, one.feedback.value) for one in trace.info.assessments]
        check_same(said.get(at, []), judged, f"{id_}: feedback")
        texts = blocks[f"t{at // about['texts']}"][at % about["texts"]]
        check_same(texts[0], trace.info.request_preview or "", f"{id_}: question")
        check_same([reason for _, reason in texts[5]], [one.rationale for one in trace.info.assessments], f"{id_}: reasons")
        spans = {span[0]: span for span in blocks[f"s{at // about['spans']}"][at % about["spans"]]}
        check_same(sorted(spans), sorted(span.span_id for span in trace.data.spans), f"{id_}: spans")
        for span in trace.data.spans:
            own = spans.get(span.span_id)
            if own is None:
                continue
            check_same(own[1:5], [span.parent_id or "", span.name, span.start_time_ns // 1000, span.end_time_ns // 1000], f"{id_}: span")
            events = [[one.name, one.timestamp // 1000, {**one.attributes}] for one in span.events]
            thrown += len(events)
            pairs = lambda flat: dict(zip(flat[::2], flat[1::2]))  # noqa: E731
            check_same([[name, when, pairs(told)] for name, when, told in (own[10] if len(own) > 10 else [])], events, f"{id_}: events of {span.name}")
            for one in span.events if span.status.status_code == "ERROR" else []:
                check(one.attributes["exception.message"] in own[6], f"{id_}: what {span.name} raised")
            for nth, value in ((7, span.inputs), (8, span.outputs)):
                check_same(decoded(own[nth]) if own[nth] else None, value, f"{id_}: inputs and outputs of {span.name}")
    check(thrown > 0, "no trace has an exception")
    finish()


if __name__ == "__main__":
    main()
