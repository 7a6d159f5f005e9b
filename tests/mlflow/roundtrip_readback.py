# SPDX-License-Identifier: Apache-2.0
"""Everything that roundtrip_test.cpp recorded is stored as it was said, and found by MLflow's documented searches."""

import collections
import time

import _reading
from _reading import check, check_same, mlflow

NOW = time.time_ns()
HOUR = 3_600 * 10**9
OWN_ATTRIBUTES = {"mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.traceRequestId"}


def is_for_the_trace(key: str) -> bool:
    return key in ("user.id", "session.id") or key.startswith("mlflow.traceTag.")


def check_span(span, told: dict, where: str) -> None:
    where += f", span {told['name'][:40]!r}"
    check_same(span.name, told["name"], f"{where}: name")
    check_same(span.parent_id, told["parent"], f"{where}: parent")
    check_same(span.span_type or "UNKNOWN", told["type"], f"{where}: type")
    check_same(span.status.status_code.value, told["status"], f"{where}: status")
    check_same(span.status.description or "", told["description"], f"{where}: description of the status")
    check_same(span.inputs, told["inputs"], f"{where}: inputs")
    check_same(span.outputs, told["outputs"], f"{where}: outputs")
    check_same(span.model_name, told.get("model"), f"{where}: model")
    attributes = {key: value for key, value in span.attributes.items() if key not in OWN_ATTRIBUTES}
    if "mlflow.spanLogLevel" not in told["attributes"]:
        level = attributes.pop("mlflow.spanLogLevel", None)
        failed = any(event["name"] == "exception" for event in told["events"]) or told["status"] == "ERROR"
        check(level in ((10, 20, 40) if failed else (10, 20)), f"{where}: level {level}")
    if told["parent"] is None:
        attributes = {key: value for key, value in attributes.items() if not is_for_the_trace(key)}
    for key in sorted(attributes.keys() | told["attributes"].keys()):
        check(key in attributes, f"{where}: attribute {key!r} is not stored")
        check(key in told["attributes"], f"{where}: attribute {key!r} was not recorded")
        if key in attributes and key in told["attributes"]:
            check_same(attributes[key], told["attributes"][key], f"{where}: attribute {key!r}")
    check_same([event.name for event in span.events], [event["name"] for event in told["events"]], f"{where}: events")
    times = [event.timestamp for event in span.events]
    check(times == sorted(times), f"{where}: events out of order")
    check(all(span.start_time_ns <= at <= span.end_time_ns for at in times), f"{where}: an event outside of the span")
    for event, told_event in zip(span.events, told["events"]):
        check_same(dict(event.attributes), told_event["attributes"], f"{where}: event {event.name!r}")


def check_times(trace, told: dict, where: str) -> None:
    root = next(span for span in trace.data.spans if span.parent_id is None)
    check(abs(NOW - root.start_time_ns) < HOUR, f"{where}: starts at {root.start_time_ns}, not near now")
    check_same(trace.info.request_time, root.start_time_ns // 10**6, f"{where}: request_time")
    # MLflow may count spans that come after the end of their trace.
    lasted = (root.end_time_ns - root.start_time_ns) / 1e6
    with_late = max(span.end_time_ns - root.start_time_ns for span in trace.data.spans) / 1e6
    duration = trace.info.execution_duration
    check(min(abs(duration - lasted), abs(duration - with_late)) <= 1, f"{where}: {duration} ms, not {lasted}")
    check(lasted < 60_000, f"{where}: lasted {lasted} ms")
    for span in trace.data.spans:
        late = told["spans"][span.span_id].get("after_its_trace", False)
        check(root.start_time_ns <= span.start_time_ns <= span.end_time_ns, f"{where}: {span.name} ends before it starts")
        check((span.end_time_ns <= root.end_time_ns) != late, f"{where}: {span.name} ends outside of the trace")


def check_trace(trace, told: dict, where: str) -> None:
    info = trace.info
    _reading.check_metadata(info, told, where)
    check_same(info.token_usage, told.get("usage"), f"{where}: token usage")
    check_same(info.cost, told.get("cost"), f"{where}: cost")
    if "traced" in told:
        (span,) = trace.data.spans
        check_same(span.name, told["name"], f"{where}: name of the span")
        check_same(span.inputs, told["traced"]["inputs"], f"{where}: inputs")
        check_same(span.outputs, told["traced"]["outputs"], f"{where}: outputs")
        check_same(span.get_attribute("mlflow.spanFunctionName"), told["name"], f"{where}: function")
        return
    found = {span.span_id: span for span in trace.data.spans}
    check_same(sorted(found), sorted(told["spans"]), f"{where}: spans")
    check(len(found) == len(trace.data.spans), f"{where}: a span is there twice")
    for span_id in found.keys() & told["spans"].keys():
        check_span(found[span_id], told["spans"][span_id], where)
    check_times(trace, told, where)
    root = next(span for span in told["spans"].values() if span["parent"] is None)
    for preview, value in (("request_preview", root["inputs"]), ("response_preview", root["outputs"])):
        if preview in told:
            check_same(getattr(info, preview), told[preview], f"{where}: {preview}")
        elif value is not None:
            check(bool(getattr(info, preview)), f"{where}: {preview} is empty")


def check_all(told: dict, what: str) -> dict:
    """By one search of everything; the spans as they come with it."""
    found = _reading.without_duplicates(_reading.traces_of(told["id"]), what)
    check_same(sorted(found), sorted(told["traces"]), f"{what}: traces")
    for trace_id in found.keys() & told["traces"].keys():
        trace = told["traces"][trace_id]
        check_trace(found[trace_id], trace, f"{what} {trace['name'][:40]!r} {trace_id}")
    return found


def quoted(value: str) -> str | None:
    """As text of a filter; MLflow's grammar has no escapes, so some values have no exact form."""
    if value.endswith("\\"):
        return None
    return f"'{value}'" if "'" not in value else f'"{value}"' if '"' not in value else None


def check_search(told: dict, query: str, matches) -> None:
    found = {trace.info.trace_id for trace in _reading.traces_of(told["id"], query, spans=False)}
    right = {trace_id for trace_id, trace in told["traces"].items() if matches(trace)}
    check(bool(right), f"{query}: nothing to find")
    check(found == right, f"{query[:200]}: found {len(found)} traces, {len(right)} are right, {len(found & right)} in both")


def check_searches(told: dict) -> None:
    key = {part: f"metadata.`mlflow.trace.{part}`" for part in ("user", "session")}
    pairs = collections.Counter()
    for trace in told["traces"].values():
        metadata = trace["metadata"]
        pairs[metadata.get("mlflow.trace.user"), metadata.get("mlflow.trace.session")] += 1
    unwritable = {value for pair in pairs for value in pair if value is not None and quoted(value) is None}
    check(len(unwritable) <= 5, f"too many values without an exact filter: {unwritable}")
    for part, values in (("user", {user for user, _ in pairs}), ("session", {session for _, session in pairs})):
        for value in values - unwritable - {None}:
            check_search(
                told,
                f"{key[part]} = {quoted(value)}",
                lambda trace: trace["metadata"].get(f"mlflow.trace.{part}") == value,
            )
    for user, session in pairs:
        if {user, session} & (unwritable | {None}):
            continue
        check_search(
            told,
            f"{key['user']} = {quoted(user)} AND {key['session']} = {quoted(session)}",
            lambda trace: (trace["metadata"].get("mlflow.trace.user"), trace["metadata"].get("mlflow.trace.session"))
            == (user, session),
        )
    for request_id in {trace["client_request_id"] for trace in told["traces"].values()} - {None}:
        if (text := quoted(request_id)) and not request_id.startswith("request-"):
            check_search(told, f"client_request_id = {text}", lambda trace: trace["client_request_id"] == request_id)


everything = _reading.expected()
for experiment, told in everything.items():
    told["id"] = _reading.experiment_id(told["experiment"])
    check_all(told, experiment)
for trace_id, told in everything["roundtrip"]["traces"].items():
    one = mlflow.get_trace(trace_id)
    check_trace(one, told, f"get_trace {told['name'][:40]!r} {trace_id}")
check_searches(everything["identities"])
_reading.finish()
