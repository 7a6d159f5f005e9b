# SPDX-License-Identifier: Apache-2.0
"""Builds an OpenTelemetry Collector from its Go modules, has RECORD send traces to it, and compares the file that the
Collector writes with what was recorded, and with what mlflow_sessions reads in it. METRICS sends it metrics:

    run.py RECORD MLFLOW_SESSIONS METRICS

The Collector is kept in ${XDG_CACHE_HOME:-~/.cache}/mlflow_trace. Exits with 77 where there is no Go to build it.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE.parent / "support"))
from servers import free_ports, listen, running  # noqa: E402

SKIPPED = 77

CONFIG = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{file: {{path: "{file}"}}, file/metrics: {{path: "{metrics}"}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
    metrics: {{receivers: [otlp], exporters: [file/metrics]}}
"""


def needed_go() -> tuple[int, ...]:
    version = re.search(r"^go (\d+)\.(\d+)", (SOURCE / "go.mod").read_text(), re.MULTILINE)
    return tuple(map(int, version.groups()))


def installed_go() -> tuple[int, ...]:
    if not shutil.which("go"):
        return (0, 0)
    told = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, cwd="/").stdout
    version = re.match(r"go(\d+)\.(\d+)", told)
    return tuple(map(int, version.groups())) if version else (0, 0)


def collector() -> pathlib.Path:
    sources = b"".join((SOURCE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mlflow_trace"
    program = cache / f"collector-{hashlib.sha256(sources).hexdigest()[:16]}"
    if program.exists():
        return program
    if installed_go() < needed_go():
        print(f"SKIPPED: the OpenTelemetry Collector needs go {'.'.join(map(str, needed_go()))} or newer to be built")
        sys.exit(SKIPPED)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        built = pathlib.Path(folder) / "collector"
        command = ["go", "build", "-C", SOURCE, "-mod=readonly", "-buildvcs=false", "-ldflags=-s -w", "-o", built, "main.go"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        built.rename(program)
    return program


@contextlib.contextmanager
def writing_collector(folder: pathlib.Path):
    """A Collector that writes FOLDER/stored.jsonl and FOLDER/metrics.jsonl; gives its port. It has written everything when it has ended."""
    (port,) = free_ports(1)
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(port=port, file=folder / "stored.jsonl", metrics=folder / "metrics.jsonl"))
    with running([collector(), "--config", config], lambda: listen([port]), folder / "collector.log"):
        yield port


def spans_of(path: pathlib.Path) -> dict[str, dict]:
    """The spans of a file of OTLP JSON lines by their IDs, each with its resource."""
    spans = {}
    for line in path.read_text().splitlines():
        for of_resource in json.loads(line)["resourceSpans"]:
            for of_scope in of_resource["scopeSpans"]:
                for span in of_scope["spans"]:
                    assert span["spanId"] not in spans, "a span twice"
                    spans[span["spanId"]] = span | {"resource": of_resource["resource"], "scope": of_scope["scope"]}
    return spans


def texts(attributes: list[dict]) -> dict[str, str]:
    return {each["key"]: each["value"].get("stringValue") for each in attributes}


def without_gen_ai(span: dict) -> dict:
    """As it is without the terms of OpenTelemetry's conventions, by which a model is called as another service."""
    return span | {"attributes": [a for a in span["attributes"] if not a["key"].startswith("gen_ai.")], "kind": 1}


def check_read(sessions: str, file: pathlib.Path, traces: list[dict]) -> None:
    """Whose the traces are, as mlflow_sessions reads them: exactly as the program gave it."""
    export = subprocess.run([sessions, "export", "--json", "--tracking-uri", file], check=True, stdout=subprocess.PIPE, text=True)
    rows = {row["trace_id"].removeprefix("tr-"): row for row in json.loads(export.stdout)}
    assert len(rows) == len(traces) + 1, (len(rows), len(traces))
    for trace in traces:
        row = rows[trace["trace"]]
        assert (row["user"], row["session"]) == (trace["user"], trace["session"]), (row, trace)
        assert row["tags"]["kind"] == trace["tag"] and row["name"] == "chat", row


def check(record: str, sessions: str, compression: str, receiver: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with writing_collector(folder) as port:
            clean = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
            said = subprocess.run(
                [record, folder / "recorded.jsonl", receiver],
                env=clean
                | {
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                    "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
                    "OTEL_SERVICE_NAME": "chat",
                    "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,team=a%2Cb",
                },
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                timeout=120,
            ).stdout
        stored = spans_of(folder / "stored.jsonl")
        recorded = spans_of(folder / "recorded.jsonl")
        traces = [json.loads(line) for line in said.splitlines()]
        for name in ("stored.jsonl", "recorded.jsonl"):
            check_read(sessions, folder / name, traces)
    assert len(recorded) == 2 * len(traces) + 1 and stored.keys() == recorded.keys(), (len(stored), len(recorded))

    if receiver == "mlflow":  # which gets text that it would take for JSON in another form
        print(f"{len(stored)} spans of {len(traces) + 1} traces are read as they were recorded")
        return

    # Everything: times, events, links, status, resource.
    for span_id, span in recorded.items():
        assert without_gen_ai(stored[span_id]) == span, (stored[span_id], span)
    assert texts(next(iter(stored.values()))["resource"]["attributes"]) | {"telemetry.sdk.version": ""} == {
        "service.name": "chat",
        "team": "a,b",
        "telemetry.sdk.name": "mlflow_trace",
        "telemetry.sdk.language": "cpp",
        "telemetry.sdk.version": "",
    }

    # Whose they are, as the program gave it.
    roots = {s["traceId"]: texts(s["attributes"]) for s in stored.values() if not s.get("parentSpanId")}
    for trace in traces:
        root = roots.pop(trace["trace"])
        assert root["user.id"] == trace["user"], root
        assert root["session.id"] == root["gen_ai.conversation.id"] == trace["session"], root
        assert root["mlflow.traceTag.kind"] == trace["tag"], root
        assert root["mlflow.traceMetadata.app.segment"] == "pro" and root["mlflow.clientRequestId"] == "r-1", root
    (nobody,) = roots.values()
    assert not {"user.id", "session.id", "gen_ai.conversation.id"} & nobody.keys(), nobody
    children = [texts(s["attributes"]) for s in stored.values() if s.get("parentSpanId")]
    assert all((c["gen_ai.operation.name"], c["gen_ai.request.model"]) == ("chat", "my-model") for c in children), children
    assert len(children) == len(traces) and not any("user.id" in c or "session.id" in c for c in children)
    print(f"{len(stored)} spans of {len(traces) + 1} traces are stored as they were recorded")


def points_of(line: str) -> dict[tuple, dict]:
    """The data points of a request by metric and attributes."""
    points = {}
    (of_resource,) = json.loads(line)["resourceMetrics"]
    assert texts(of_resource["resource"]["attributes"])["service.name"] == "chat", of_resource
    for metric in of_resource["scopeMetrics"][0]["metrics"]:
        for point in metric["histogram"]["dataPoints"]:
            attributes = frozenset((a["key"], *a["value"].values()) for a in point["attributes"])
            temporality = metric["histogram"]["aggregationTemporality"]
            points[metric["name"], attributes] = point | {"unit": metric["unit"], "temporality": temporality}
    return points


def check_metrics(program: str, preference: str, compression: str) -> None:
    """Three requests, each of them with four traces: of the segments free, pro and pro, and of a fourth."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with writing_collector(folder) as port:
            clean = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
            said = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": preference,
                "OTEL_SERVICE_NAME": "chat",
            }
            subprocess.run([program], env=clean | said, check=True, timeout=120)
        requests = [points_of(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len(requests) == 3, len(requests)

    is_delta = preference == "delta"
    keys = {("stage", 'caf\u00e9 "1"')}
    model = keys | {("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "own"), ("gen_ai.request.model", "my-model")}
    overflow = frozenset({("otel.metric.overflow", True)})
    for number, points in enumerate(requests, 1):
        times = 1 if is_delta else number

        def count(metric, attributes):
            return int(points[f"gen_ai.{metric}", frozenset(attributes)]["count"])

        free, pro = ("app.segment", "free"), ("app.segment", "pro")
        tokens = points["gen_ai.client.token.usage", frozenset(model | {free, ("gen_ai.token.type", "input")})]
        assert tokens["unit"] == "{token}" and tokens["sum"] == 300 * times, tokens
        assert tokens["explicitBounds"][:3] == [1, 4, 16] and int(tokens["bucketCounts"][5]) == times, tokens
        assert tokens["temporality"] == (1 if is_delta else 2), tokens
        assert count("client.operation.duration", model | {free}) == times
        first_chunks = points["gen_ai.client.operation.time_to_first_chunk", frozenset(model | {pro})]
        assert first_chunks["unit"] == "s" and int(first_chunks["count"]) == 2 * times, first_chunks
        assert count("workflow.duration", keys | {pro, ("gen_ai.workflow.name", "chat")}) == 2 * times
        failed = [point for (name, attributes), point in points.items() if ("error.type", "timeout") in attributes]
        assert failed, "error.type"
        in_all = sum(int(p["count"]) for (name, _), p in points.items() if name == "gen_ai.client.operation.duration")
        assert in_all == 4 * times, "those beyond the limit are counted too"
        assert number == 1 or is_delta or int(points["gen_ai.client.operation.duration", overflow]["count"]) == 1
    print(f"{sum(map(len, requests))} data points are stored as they were sent, {preference}")


if __name__ == "__main__":
    for preference, compression in (("cumulative", "none"), ("delta", "gzip")):
        check_metrics(sys.argv[3], preference, compression)
    for compression, receiver in (("none", "gen_ai"), ("gzip", "gen_ai"), ("none", "mlflow")):
        check(sys.argv[1], sys.argv[2], compression, receiver)
