#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the metrics of random traces with a model of them, by OpenTelemetry's own protobuf definitions.

usage: otlp_metrics_differential.py <path of the built otlp_metrics_tool>
"""

import collections
import json
import math
import random
import subprocess
import sys

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

# https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-metrics.md
SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
METRICS = {
    "gen_ai.client.operation.duration": ("s", SECONDS),
    "gen_ai.client.operation.time_to_first_chunk": ("s", SECONDS),
    "gen_ai.client.token.usage": ("{token}", [4**n for n in range(14)]),
    "gen_ai.invoke_agent.duration": ("s", [0.1 * 2**n for n in range(13)]),
    "gen_ai.execute_tool.duration": ("s", SECONDS),
    "gen_ai.workflow.duration": ("s", [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]),
}
OPERATIONS = {
    "CHAT_MODEL": "chat",
    "LLM": "generate_content",
    "EMBEDDING": "embeddings",
    "RETRIEVER": "retrieval",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "WORKFLOW": "invoke_workflow",
}
NAMED = {"TOOL": ("execute_tool", "tool"), "AGENT": ("invoke_agent", "agent"), "WORKFLOW": ("workflow", "workflow")}
OVERFLOW = frozenset({("otel.metric.overflow", True)})
TEXTS = ["a", "gpt-4o", "\u00fcber", 'say "no"', "x" * 200]


def random_trace(rng, users):
    trace = {"name": rng.choice(["chat", "search"]), "late": rng.random() < 0.1, "spans": []}
    for key, values in (("user", [f"user-{n}" for n in range(users)]), ("segment", ["free", "pro"]), ("stage", TEXTS)):
        if rng.random() < 0.7:
            trace[key] = rng.choice(values)
    for _ in range(rng.randrange(5)):
        kind = rng.choice([*OPERATIONS, "CHAIN", "my own"])
        # Also exactly on a boundary.
        nano = rng.choice([0, 10_000_000, 1_280_000_000, 100_000_000, int(10 ** rng.uniform(3, 12))])
        span = {"name": rng.choice(["step", "look up"]), "type": kind, "nano": nano}
        if rng.random() < 0.6:
            span |= {"model": rng.choice(TEXTS), "provider": rng.choice(["openai", "own"])}
        if rng.random() < 0.4:
            span["chunk"] = rng.randrange(nano + 1)
        if rng.random() < 0.5:
            span |= {"input": rng.choice([0, 1, 4, 5, 4096, rng.randrange(10**8)]), "output": rng.randrange(10**4)}
        if rng.random() < 0.3:
            span["error"] = rng.choice(["", "std::runtime_error", "timeout"])
        if rng.random() < 0.2:
            span["attributes"] = rng.choice(
                [
                    {"gen_ai.request.model": "said", "gen_ai.provider.name": "said too"},
                    {"gen_ai.operation.name": "text_completion"},
                    {"gen_ai.usage.input_tokens": 17, "error.type": "500"},
                    {"gen_ai.tool.name": "named", "gen_ai.agent.name": "named", "gen_ai.workflow.name": "named"},
                ]
            )
        trace["spans"].append(span)
    return trace


def measures(trace):
    """The values of a trace: (metric, attributes, value)."""
    found = []
    keys = [("user.id", trace.get("user")), ("app.segment", trace.get("segment")), ("stage", trace.get("stage"))]

    def add(metric, value, late, **attributes):
        kept = keys[:1] if late else keys  # a part that ends after its root knows the user
        said = [*((key.replace("__", "."), text) for key, text in attributes.items()), *kept]
        found.append((metric, frozenset((key, text) for key, text in said if text is not None), value))

    def error_of(span, own):
        if "error" not in span:
            return None
        return own.get("error.type") or span["error"] or "_OTHER"

    elapsed = sum(span["nano"] for span in trace["spans"])
    for at, span in enumerate(trace["spans"]):
        own = span.get("attributes", {})
        operation = own.get("gen_ai.operation.name") or OPERATIONS.get(span["type"])
        client = {
            "gen_ai__operation__name": operation,
            "gen_ai__request__model": own.get("gen_ai.request.model") or span.get("model"),
            "gen_ai__provider__name": own.get("gen_ai.provider.name") or span.get("provider"),
        }
        nano = sum(one["nano"] for one in trace["spans"][at:]) if trace["late"] else span["nano"]
        seconds, late, error = nano * 1e-9, trace["late"], error_of(span, own)
        if operation in ("execute_tool", "invoke_agent", "invoke_workflow"):
            metric, kind = NAMED[next(t for t, o in OPERATIONS.items() if o == operation)]
            named = {f"gen_ai__{kind}__name": own.get(f"gen_ai.{kind}.name") or span["name"]}
            if kind == "agent":
                named["gen_ai__request__model"] = client["gen_ai__request__model"]
            add(f"gen_ai.{metric}.duration", seconds, late, error__type=error, **named)
        elif operation:
            add("gen_ai.client.operation.duration", seconds, late, error__type=error, **client)
            if "chunk" in span:
                add("gen_ai.client.operation.time_to_first_chunk", span["chunk"] * 1e-9, late, **client)
        tokens = {"input": span.get("input"), "output": span.get("output")}
        tokens["input"] = own.get("gen_ai.usage.input_tokens", tokens["input"])
        for kind, count in tokens.items():
            if count is not None:
                add("gen_ai.client.token.usage", count, late, gen_ai__token__type=kind, **client)
    add("gen_ai.workflow.duration", elapsed * 1e-9, False, gen_ai__workflow__name=trace["name"])
    return [found[-1], *found[:-1]] if trace["late"] else found  # as they arrive


class Model:
    def __init__(self, delta, most):
        self.delta, self.most = delta, most
        self.values = collections.defaultdict(dict)  # by metric and attributes

    def add(self, trace):
        for metric, attributes, value in measures(trace):
            sets = self.values[metric]
            is_full = len(sets) - (OVERFLOW in sets) >= self.most
            if attributes not in sets and is_full:
                attributes = OVERFLOW
            sets.setdefault(attributes, []).append(value)

    def arrived(self):
        if self.delta:
            self.values.clear()


def bucket_counts(values, boundaries):
    counts = [0] * (len(boundaries) + 1)
    for value in values:
        counts[sum(value > boundary for boundary in boundaries)] += 1
    return counts


def text_or_bool(value):
    return getattr(value, value.WhichOneof("value"))


def check_request(request, model):
    (of_resource,) = request.resource_metrics
    resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
    assert resource["service.name"] == "unknown_service" and len(resource["service.instance.id"]) == 36, resource
    (of_scope,) = of_resource.scope_metrics
    assert of_scope.scope.name == "mlflow_trace"
    wanted = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA if model.delta else AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    seen = {}
    times = set()
    for metric in of_scope.metrics:
        unit, boundaries = METRICS[metric.name]
        assert (metric.unit, metric.WhichOneof("data")) == (unit, "histogram") and metric.description
        assert metric.histogram.aggregation_temporality == wanted
        for point in metric.histogram.data_points:
            attributes = frozenset((each.key, text_or_bool(each.value)) for each in point.attributes)
            assert (metric.name, attributes) not in seen, "a set twice"
            assert len(point.explicit_bounds) == len(boundaries)
            assert all(map(math.isclose, point.explicit_bounds, boundaries))
            seen[metric.name, attributes] = point
            times.add((point.start_time_unix_nano, point.time_unix_nano))
    expected = {(metric, attributes): values for metric, sets in model.values.items() for attributes, values in sets.items()}
    assert seen.keys() == expected.keys(), (seen.keys() - expected.keys(), expected.keys() - seen.keys())
    for key, values in expected.items():
        point = seen[key]
        assert (point.count, list(point.bucket_counts)) == (len(values), bucket_counts(values, point.explicit_bounds)), key
        assert math.isclose(point.sum, math.fsum(values), rel_tol=1e-9), key
        assert math.isclose(point.min, min(values)) and math.isclose(point.max, max(values)), key
    ((start, end),) = times
    assert 0 < start < end
    return resource["service.instance.id"], start, end


def check(tool, seed, delta, most, users):
    rng = random.Random(seed)
    model = Model(delta, most)
    lines, steps = [], []
    for _ in range(8):
        traces = [random_trace(rng, users) for _ in range(rng.randrange(12))]
        reply = rng.choice([{"reply": 200}, {"reply": 200}, {"reply": 503}, {"reply": 400}, {"reply": 200, "rejected": 3}])
        steps.append((traces, reply))
        lines += [*map(json.dumps, traces), json.dumps(reply)]
    steps.append(([], {"reply": 200}))
    lines.append(json.dumps({"reply": 200}))
    command = [tool, "delta" if delta else "cumulative", str(most)]
    told = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True, timeout=120).stdout
    answers = [json.loads(line) for line in told.splitlines()]
    assert len(answers) == len(steps)
    sets = queued = exported = failed = 0
    instances, last_end, last_start = set(), 0, 0
    for (traces, reply), answer in zip(steps, answers):
        for trace in traces:
            model.add(trace)
            queued += 1 + len(trace["spans"])
        has_arrived = reply["reply"] == 200
        is_rejected = "rejected" in reply
        assert bool(answer["requests"]) == (queued > 0), (queued, answer)
        for request in answer["requests"]:
            instance, start, end = check_request(ExportMetricsServiceRequest.FromString(bytes.fromhex(request)), model)
            assert end > last_end and start >= last_start, "times go on"
            assert start == last_start or not last_start or delta, "one stream"
            instances.add(instance)
            last_end, last_start = end, start
            sets = max(sets, max(map(len, model.values.values())))
        if has_arrived and (delta or not is_rejected):
            if answer["requests"]:
                model.arrived()
            if is_rejected:
                failed += queued
            else:
                exported += queued
            queued = 0
        assert (answer["queued"], answer["exported"], answer["failed"]) == (queued, exported, failed), answer
        assert answer["delivered"] == (queued == 0), answer
        assert answer["error"] or not failed + queued
    assert len(instances) == 1 and queued == 0, "all has arrived, of one process"
    return sets


def main():
    tool = sys.argv[1]
    most = 0
    for seed in range(40):
        limit = 5 if seed % 4 == 0 else 2000
        sets = check(tool, seed, delta=seed % 2 == 1, most=limit, users=30 if limit == 5 else 5)
        assert limit == 2000 or sets == limit + 1, "the limit was not reached"
        most = max(most, sets)
    print(f"40 runs agree with the model, with up to {most} attribute sets of a metric")


main()
