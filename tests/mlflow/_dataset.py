# SPDX-License-Identifier: Apache-2.0
"""Traces of many users and sessions, written quickly as OTLP batches; the same again for the same experiment.

    _dataset.py EXPERIMENT TRACES USERS SESSIONS      into the server of MLFLOW_TRACKING_URI
"""

import base64
import json
import os
import random
import sys
import urllib.request

import mlflow
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

START_NANO = 1_790_000_000_000_000_000  # 2026-09-21
SEGMENTS = ["free", "pro", "enterprise"]

# IDs that are hard to search for; each has a neighbour that a careless search would find with it.
HOSTILE = [
    "o'brien-1", 'say "hi"', """both ' and " quotes""", "both _ and _ quotes", "both ' and \" quotes\\", "backslash\\",
    "backslash_", "back\\\\slash", "100%", "100", "100 percent", "under_score", "underXscore", "利用者-1042", "利用者-1043", "é",
    "e\u0301", "x" * 250, "x" * 249, "'", '"', "''", "\\'", "'; DROP TABLE traces; --", "x' OR '1'='1", "' AND ' = '", "`tick`",
    "USER", "user", " user", "null", "None", "%", "_", "\U0001f600", "{}", "a\\' AND metadata.`mlflow.trace.user` = \"b",
]  # fmt: skip


def spans_of(rng: random.Random, number: int, user: str | None, session: str | None, start: int) -> list[Span]:
    trace_id = rng.randbytes(16)
    duration = int(rng.lognormvariate(6.5, 1.2)) * 1_000_000 + rng.randrange(1_000_000)
    root = Span(trace_id=trace_id, span_id=rng.randbytes(8), name="chat", start_time_unix_nano=start)
    root.end_time_unix_nano = start + duration
    root.status.code = Status.STATUS_CODE_ERROR if rng.random() < 0.06 else Status.STATUS_CODE_OK
    model = Span(trace_id=trace_id, span_id=rng.randbytes(8), parent_span_id=root.span_id, name="generate")
    model.start_time_unix_nano, model.end_time_unix_nano = start + duration // 10, start + duration // 2
    usage = {"input_tokens": rng.randrange(5, 4000), "output_tokens": rng.randrange(1, 900)}
    usage["total_tokens"] = sum(usage.values())
    cost = {"input_cost": usage["input_tokens"] * 1e-6, "output_cost": usage["output_tokens"] * 4e-6}
    cost["total_cost"] = sum(cost.values())

    def put(span: Span, key: str, value: object) -> None:
        span.attributes.add(key=key).value.string_value = value if isinstance(value, str) else json.dumps(value)

    for key, value in (("user.id", user), ("session.id", session)):
        if value is not None:
            put(root, key, value)
    put(root, "mlflow.traceTag.mlflow.traceName", "chat")
    put(root, "mlflow.spanInputs", {"message": f"Question {number}: where is my bike?"})
    put(root, "mlflow.spanOutputs", f"Answer {number}: at the \"station\", by the river.")
    if rng.random() < 0.9:
        put(model, "mlflow.chat.tokenUsage", usage)
        if rng.random() < 0.8:
            put(model, "mlflow.llm.cost", cost)
    return [root, model]


def for_mlflow(spans) -> None:
    """Text that could be JSON is encoded once, else MLflow reads it as JSON."""
    for span in spans:
        for attribute in span.attributes:
            if attribute.key in ("user.id", "session.id"):
                attribute.value.string_value = json.dumps(attribute.value.string_value)


def as_json_line(request: ExportTraceServiceRequest) -> str:
    """OTLP/JSON, in which IDs are hexadecimal digits."""
    message = MessageToDict(request, use_integers_for_enums=True)
    for span in message["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key in {"traceId", "spanId", "parentSpanId"} & span.keys():
            span[key] = base64.b64decode(span[key]).hex()
    return json.dumps(message, ensure_ascii=False) + "\n"


def post(uri: str, path: str, body: bytes, headers: dict[str, str]) -> None:
    urllib.request.urlopen(urllib.request.Request(uri + path, body, headers), timeout=300).read()


def write(experiment: str, traces: int, users: int, sessions: int, path: str | None = None, batch: int = 500) -> str:
    """Returns the experiment's ID. Users and sessions include the hostile ones. The same also goes to a file."""
    uri = os.environ["MLFLOW_TRACKING_URI"]
    experiment_id = mlflow.set_experiment(experiment).experiment_id
    rng = random.Random(f"{experiment_id} {traces} {users} {sessions}")
    names = (HOSTILE + [f"user-{number}" for number in range(users)])[:users]
    owners = [rng.choice(names) for _ in range(sessions)]
    chats = (HOSTILE + [f"session-{number}" for number in range(sessions)])[:sessions]
    start = START_NANO
    for first in range(0, traces, batch):
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for number in range(first, min(first + batch, traces)):
            start += rng.randrange(1, 240_000_000_000)
            chat = number % sessions if number < sessions else rng.randrange(sessions)
            is_alone = rng.random() < 0.03 and number >= sessions
            user = names[number] if number < users else None if rng.random() < 0.02 else owners[chat]
            spans.extend(spans_of(rng, number, user, None if is_alone else chats[chat], start))
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write(as_json_line(request))
        for_mlflow(spans)
        headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment_id}
        post(uri, "/v1/traces", request.SerializeToString(), headers)
    return experiment_id


if __name__ == "__main__":
    print(write(sys.argv[1], *map(int, sys.argv[2:5])))
