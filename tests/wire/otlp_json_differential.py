#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the OTLP/JSON writer with the official protobuf definitions, on messages made from a fixed seed.

usage: otlp_json_differential.py <path of the built otlp_json_tool>

Needs opentelemetry-proto from PyPI.
"""

import base64
import json
import random
import subprocess
import sys

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = ("traceId", "spanId", "parentSpanId")
TEXTS = ["", "a", "user-1042", "mlflow.trace.user", 'say "no"\\', "line\nbreak\t\x00\x1f\x7f", "gr\u00fcn \u4e2d \U0001f600", "x" * 300]
DOUBLES = [0.0, -0.0, 1.0, 0.1, -1.5e300, 5e-324, 1.7976931348623157e308, float("nan"), float("inf"), -float("inf")]
INT64 = [0, 1, -1, 2**31, -(2**31), 2**63 - 1, -(2**63), 1 << 53]
UINT64 = [0, 1, 1734567890123456789, 2**63, 2**64 - 1]
UINT32 = [0, 0, 1, 0x301, 2**31, 2**32 - 1]


def fill_value(rng, value, depth=0):
    kind = rng.randrange(8 if depth < 4 else 6)
    if kind == 0:
        value.SetInParent()
    elif kind == 1:
        value.string_value = rng.choice(TEXTS)
    elif kind == 2:
        value.bool_value = rng.random() < 0.5
    elif kind == 3:
        value.int_value = rng.choice(INT64)
    elif kind == 4:
        value.double_value = rng.choice(DOUBLES)
    elif kind == 5:
        value.bytes_value = rng.randbytes(rng.randrange(8))
    elif kind == 6:
        value.array_value.SetInParent()
        for _ in range(rng.randrange(4)):
            fill_value(rng, value.array_value.values.add(), depth + 1)
    else:
        value.kvlist_value.SetInParent()
        fill_attributes(rng, value.kvlist_value.values, depth + 1)


def fill_attributes(rng, attributes, depth=0):
    for _ in range(rng.randrange(4)):
        attribute = attributes.add(key=rng.choice(TEXTS))
        fill_value(rng, attribute.value, depth)


def identifier(rng, size):
    return rng.choice([b"", b"\0" * (size - 1) + b"\1", rng.randbytes(size - 1) + b"\xff"])


def fill_span(rng, span):
    span.trace_id, span.span_id, span.parent_span_id = (identifier(rng, size) for size in (16, 8, 8))
    span.trace_state, span.name = rng.choice(TEXTS), rng.choice(TEXTS)
    span.kind, span.flags = rng.randrange(6), rng.choice(UINT32)
    span.start_time_unix_nano, span.end_time_unix_nano = rng.choice(UINT64), rng.choice(UINT64)
    fill_attributes(rng, span.attributes)
    span.dropped_attributes_count = rng.choice(UINT32)
    span.dropped_events_count, span.dropped_links_count = rng.choice(UINT32), rng.choice(UINT32)
    for _ in range(rng.randrange(3)):
        event = span.events.add(time_unix_nano=rng.choice(UINT64), name=rng.choice(TEXTS))
        event.dropped_attributes_count = rng.choice(UINT32)
        fill_attributes(rng, event.attributes)
    for _ in range(rng.randrange(3)):
        link = span.links.add(trace_id=identifier(rng, 16), span_id=identifier(rng, 8), flags=rng.choice(UINT32))
        link.trace_state, link.dropped_attributes_count = rng.choice(TEXTS), rng.choice(UINT32)
        fill_attributes(rng, link.attributes)
    span.status.SetInParent()
    span.status.code, span.status.message = rng.randrange(3), rng.choice(TEXTS)


def request(rng):
    message = ExportTraceServiceRequest()
    for _ in range(rng.randrange(3)):
        group = message.resource_spans.add(schema_url=rng.choice(TEXTS))
        group.resource.SetInParent()
        group.resource.dropped_attributes_count = rng.choice(UINT32)
        fill_attributes(rng, group.resource.attributes)
        for _ in range(rng.randrange(2)):
            group.resource.entity_refs.add(schema_url=rng.choice(TEXTS), type="service", id_keys=["a", ""])
        for _ in range(rng.randrange(3)):
            scope_spans = group.scope_spans.add(schema_url=rng.choice(TEXTS))
            scope_spans.scope.SetInParent()
            scope_spans.scope.name, scope_spans.scope.version = rng.choice(TEXTS), rng.choice(TEXTS)
            scope_spans.scope.dropped_attributes_count = rng.choice(UINT32)
            fill_attributes(rng, scope_spans.scope.attributes)
            for _ in range(rng.randrange(4)):
                fill_span(rng, scope_spans.spans.add())
    return message


def with_ids(tree, convert):
    if isinstance(tree, list):
        return [with_ids(item, convert) for item in tree]
    if isinstance(tree, dict):
        return {key: convert(item) if key in IDS else with_ids(item, convert) for key, item in tree.items()}
    return tree


def to_hex(text):
    return base64.b64decode(text).hex()


def from_hex(text):
    assert text == text.lower()
    return base64.b64encode(bytes.fromhex(text)).decode()


def convert(tool, encoded):
    packed = b"".join(b"%d\n%s" % (len(message), message) for message in encoded)
    lines = subprocess.run([tool], input=packed, stdout=subprocess.PIPE, check=True).stdout.split(b"\n")
    assert len(lines) == len(encoded) + 1 and lines[-1] == b"", "one line for each message"
    return [None if line == b"malformed" else json.loads(line.decode()) for line in lines[:-1]]


def parses(encoded):
    try:
        ExportTraceServiceRequest.FromString(encoded)
    except DecodeError:
        return False
    return True


def main():
    rng = random.Random(1042)
    messages = [request(rng) for _ in range(300)]
    for message, tree in zip(messages, convert(sys.argv[1], [message.SerializeToString() for message in messages])):
        official = json_format.MessageToDict(message, use_integers_for_enums=True)
        assert tree == with_ids(official, to_hex), f"{tree}\n\nshould be\n\n{with_ids(official, to_hex)}"
        parsed = json_format.ParseDict(with_ids(tree, from_hex), ExportTraceServiceRequest())
        assert parsed.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True), tree

    short = min((message.SerializeToString() for message in messages if message.ByteSize() > 500), key=len)
    cut = [short[:size] for size in range(len(short) + 1)]
    for encoded, tree in zip(cut, convert(sys.argv[1], cut)):
        assert (tree is not None) == parses(encoded), f"cut to {len(encoded)} bytes"

    damaged = []
    for _ in range(3000):
        encoded = bytearray(short)
        for _ in range(rng.randint(1, 4)):
            encoded[rng.randrange(len(encoded))] = rng.randrange(256)
        damaged.append(bytes(encoded))
    refused = sum(tree is None for tree in convert(sys.argv[1], damaged))
    assert 0 < refused < len(damaged), "some damage shows, and some does not"
    print(f"{len(messages)} messages, {len(cut)} cut ones, {len(damaged)} damaged ones of which {refused} were refused")


if __name__ == "__main__":
    main()
