# SPDX-License-Identifier: Apache-2.0
"""Runs the program of python_client_test.cpp with MLflow's own client, and compares what the server has of the two."""

import _reading
import mlflow
from _compared import DIFFERENCES, DIFFERENCES_OF_THE_SHORT_WAY, compare, told
from _reading import check
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


def by_name(experiment: str) -> dict:
    found = {trace.info.tags["mlflow.traceName"]: told(trace) for trace in _reading.traces_of(experiment)}
    check(sorted(found) == ["chat", "look_up"], f"traces {sorted(found)}")
    return found


theirs = by_name(record())
ours = by_name(_reading.experiment_id(expected["experiment"]))
compare("chat", "", ours["chat"], theirs["chat"], DIFFERENCES)
compare("look_up", "", ours["look_up"], theirs["look_up"], DIFFERENCES | DIFFERENCES_OF_THE_SHORT_WAY)
check(ours["chat"]["metadata"]["mlflow.source.name"].endswith("python_client_test"), "the name of the source")
check(_reading.checks > 100, "something was compared")
_reading.finish()
