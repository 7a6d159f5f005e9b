# SPDX-License-Identifier: Apache-2.0
"""Records what chat_values_test.cpp records with MLflow's own client, and compares what the server has of the two."""

import base64
import os
import urllib.parse
import urllib.request

import _reading
import mlflow
from _compared import DIFFERENCES, compare, told
from _reading import check, check_same
from mlflow.entities import Document, SpanType
from mlflow.tracing import set_span_chat_tools
from mlflow.tracing.attachments import Attachment

# Ours keeps the bytes of images and sounds in the span; Python moves them to a file of their own, unless told so.
os.environ["MLFLOW_TRACE_EXTRACT_ATTACHMENTS"] = "false"

expected = _reading.expected()
IDENTITY = {"mlflow.trace.user": "user-1042", "mlflow.trace.session": "session-7"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "price_of_ride",
            "description": "What a ride costs",
            "parameters": {
                "type": "object",
                "properties": {
                    "minutes": {"type": "number", "description": "How long it lasts"},
                    "bike": {"type": "string", "enum": ["classic", "cargo"]},
                },
                "required": ["minutes"],
            },
        },
    }
]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def complete(name: str, inputs: dict, outputs: dict, tokens: tuple[int, int], tools: list | None = None) -> None:
    with mlflow.start_span(name, span_type=SpanType.CHAT_MODEL) as span:
        if tools:
            set_span_chat_tools(span, tools)
        span.set_attributes({"mlflow.llm.model": "gpt-4o-mini", "mlflow.llm.provider": "openai"})
        usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
        span.set_attribute("mlflow.chat.tokenUsage", usage)
        span.set_inputs(inputs)
        span.set_outputs(outputs)


def chat() -> None:
    with mlflow.start_span("chat", span_type=SpanType.AGENT) as root:
        mlflow.update_current_trace(metadata=IDENTITY, client_request_id="req-1")
        root.set_inputs({"message": "What does half an hour cost?"})
        with mlflow.start_span("retrieve", span_type=SpanType.RETRIEVER) as span:
            span.set_inputs({"query": "price half hour"})
            where = {"doc_uri": "prices.md", "chunk_id": "3", "score": 0.75}
            first = Document("A ride costs €1 and €0.15 a minute.", where)
            second = Document("Students pay less.", {"doc_uri": "students.md"}, id="doc-7")
            span.set_outputs([first.to_dict(), second.to_dict()])
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": "price_of_ride", "arguments": '{"minutes":30}'},
        }
        messages = [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": "What does half an hour cost?"},
        ]
        asks = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": asks, "finish_reason": "tool_calls"}
        asked = {"model": "gpt-4o-mini", "messages": list(messages), "temperature": 0.5}
        complete("complete", asked, {"choices": [choice]}, (1000, 200), TOOLS)
        with mlflow.start_span("price_of_ride", span_type=SpanType.TOOL) as span:
            span.set_inputs({"minutes": 30})
            span.set_outputs("€7.25")
        picture = {"url": "data:image/png;base64," + encoded(b"not a picture"), "detail": "auto"}
        messages += [
            asks,
            {"role": "tool", "content": "€7.25", "tool_call_id": "call_1"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Like this one?"},
                    {"type": "image_url", "image_url": {"url": "https://example.com/bike.png", "detail": "auto"}},
                    {"type": "image_url", "image_url": picture},
                    {"type": "input_audio", "input_audio": {"data": encoded(b"no sound"), "format": "wav"}},
                ],
            },
        ]
        declines = {"role": "assistant", "content": None, "refusal": "I see no bike."}
        choice = {"index": 0, "message": declines, "finish_reason": "stop"}
        answer = {"model": "gpt-4o-mini-2024-07-18", "choices": [choice]}
        complete("complete again", {"model": "gpt-4o-mini", "messages": messages}, answer, (1200, 20))
        root.set_outputs("It costs €7.25.")


def values() -> None:
    with mlflow.start_span("values") as span:
        mlflow.update_current_trace(metadata=IDENTITY, client_request_id="req-2")
        span.set_inputs(
            {
                "path": "/tmp/a",
                "headers": {"Via": ["a", "b"]},
                "wide": "grün",
                "timeout": "1500ms",
                "any": [None, 1, 2.5, "text"],
                "pair": [1, "€"],
                "by_number": {"7": True},
            }
        )
        span.set_outputs(7)
        span.set_attributes({"tries": 3, "share": 0.5, "file": "/tmp/b", "letter": "€"})


def by_name(experiment: str) -> dict:
    found = {trace.info.tags["mlflow.traceName"]: trace for trace in _reading.traces_of(experiment)}
    check({"chat", "values"} <= found.keys(), f"traces {sorted(found)}")
    return found


def check_attachment(trace) -> None:
    """The page asks for the bytes in the same way."""
    where = Attachment.parse_ref(trace.data.spans[0].inputs["report"])
    check_same(where["content_type"], "application/pdf", "content type")
    check_same(where["trace_id"], trace.info.trace_id, "trace of the attachment")
    query = urllib.parse.urlencode({"request_id": where["trace_id"], "path": where["attachment_id"]})
    address = f"{os.environ['MLFLOW_TRACKING_URI']}/ajax-api/2.0/mlflow/get-trace-artifact?{query}"
    with urllib.request.urlopen(address, timeout=60) as reply:
        stored = reply.read()
    check_same(stored, b"%PDF-1.7 \0\xff", "bytes of the attachment")
    check_same(where["size"], len(stored), "size of the attachment")


experiment = mlflow.set_experiment(expected["experiment"] + ", Python").experiment_id
chat()
values()
mlflow.flush_trace_async_logging()

theirs = by_name(experiment)
ours = by_name(_reading.experiment_id(expected["experiment"]))
check_attachment(ours.pop("attachments"))
for name in ours:
    compare(name, "", told(ours[name]), told(theirs[name]), DIFFERENCES)

# That they are equal would hold of nothing as well.
info = ours["chat"].info
check_same(info.token_usage["total_tokens"], 2420, "tokens of the trace")
check(info.cost is not None and info.cost["total_cost"] > 0, f"the server computed no cost: {info.cost}")
check_same(info.cost, theirs["chat"].info.cost, "cost")
model = next(span for span in ours["chat"].data.spans if span.name == "complete")
check_same(model.get_attribute("mlflow.chat.tools"), TOOLS, "tools")
check(model.get_attribute("mlflow.llm.cost")["total_cost"] > 0, "cost of the span")
told_source = {key: info.trace_metadata.get("mlflow.source.git." + key) for key in ("commit", "branch", "repoURL")}
commit = "0123456789abcdef0123456789abcdef01234567"
check_same(told_source, {"commit": commit, "branch": "main", "repoURL": "https://example.com/bikes.git"}, "source")
_reading.finish()
