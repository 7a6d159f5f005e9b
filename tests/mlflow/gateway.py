# SPDX-License-Identifier: Apache-2.0
"""Four services in a chain give one trace: ours, MLflow's Python client, ours, OpenTelemetry's Python SDK. Read back:
one tree with the user and the session of the first. And what a stranger sends changes nobody's trace."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

from _reading import check, check_same, client, experiment_id, finish, traces_of

GATEWAY = os.environ["MLFLOW_TRACE_GATEWAY"]
PYTHON_SERVICE = [sys.executable, str(pathlib.Path(__file__).with_name("_python_service.py"))]
QUESTIONS = 12


@contextlib.contextmanager
def service(command: list[str], experiment: str):
    """Its URL, until the end of the block; then it has delivered everything."""
    environment = os.environ | {"MLFLOW_EXPERIMENT_NAME": experiment, "GATEWAY_KEY": "a key of the tests"}
    program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield program.stdout.readline().split(": ", 1)[1].strip()
        program.send_signal(signal.SIGTERM)
        check_same(program.wait(timeout=120), 0, f"exit status of {command[-2:]}")
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()


def ask(url: str, question: str, **headers: str) -> dict:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"question": question}).encode()
    request = urllib.request.Request(url + "/ask", body, {"Content-Type": "application/json"} | names)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def one_tree() -> None:
    experiment = f"gateway {time.time_ns()}"
    client.create_experiment(experiment)
    with (
        service([*PYTHON_SERVICE, "otel"], experiment) as tool,
        service([GATEWAY, "agent", tool], experiment) as agent,
        service([*PYTHON_SERVICE, "mlflow", agent], experiment) as python,
        service([GATEWAY, "front", python], experiment) as front,
        concurrent.futures.ThreadPoolExecutor(4) as threads,
    ):
        asked = [(f"question {n}", f"Anna +{n % 3} é", f"session {n % 4}") for n in range(QUESTIONS)]
        told = list(threads.map(lambda a: ask(front, a[0], X_User_ID=quoted(a[1]), X_Session_ID=a[2]), asked))
    traces = {trace.info.trace_id: trace for trace in traces_of(experiment_id(experiment))}
    check_same(len(traces), QUESTIONS, "traces")
    for (question, user, session), answered in zip(asked, told):
        check_same(answered["answer"], f"Python's answer to {question}", question)
        trace = traces.get(answered["trace_id"])
        if trace is None:
            check(False, f"{question}: no trace")
            continue
        check_same(trace.info.trace_metadata.get("mlflow.trace.user"), user, question)
        check_same(trace.info.trace_metadata.get("mlflow.trace.session"), session, question)
        check_same(trace.info.tags.get("mlflow.traceName"), "front", question)
        spans = {span.span_id: span for span in trace.data.spans}
        at, path = next(iter(span for span in spans.values() if span.name == "otel tool"), None), []
        while at is not None:
            path.append(at.name)
            at = spans.get(at.parent_id)
        way = ["otel tool", "ask the next service", "agent", "python agent", "ask the next service", "front"]
        check_same(path, way, f"{question}: from the last span to the first")
        check_same(len(spans), len(way), f"{question}: spans")


def quoted(text: str) -> str:
    return text.encode().decode("latin-1")  # as bytes of UTF-8 in the header


def strangers() -> None:
    """What anybody can send: the trace of a victim, with identity and without a seal, or with a seal of its own."""
    experiment = f"gateway strangers {time.time_ns()}"
    client.create_experiment(experiment)
    with service([GATEWAY, "front"], experiment) as front:
        victim = ask(front, "mine", X_User_ID="victim", X_Session_ID="private")["trace_id"]
        parent = f"00-{victim.removeprefix('tr-')}-00f067aa0ba902b7-01"
        identity = "mlflow.trace.user=victim,mlflow.trace.session=private"
        seal = f"mlflow_trace.seal={int(time.time())}:{'0' * 64}:mlflow.trace.user:mlflow.trace.session"
        own = [
            ask(front, "theirs", X_User_ID="stranger", traceparent=parent, baggage=baggage)["trace_id"]
            for baggage in ("", identity, f"{identity},{seal}")
        ]
    traces = {trace.info.trace_id: trace for trace in traces_of(experiment_id(experiment))}
    check_same(sorted(traces), sorted([victim, *own]), "traces")
    check_same(len(traces[victim].data.spans), 1, "spans of the victim")
    check_same(traces[victim].info.trace_metadata.get("mlflow.trace.user"), "victim", "the victim")
    for trace_id in own:
        check_same(traces[trace_id].info.trace_metadata.get("mlflow.trace.user"), "stranger", "a stranger")
        check("mlflow.trace.session" not in traces[trace_id].info.trace_metadata, "a stranger's session")


one_tree()
strangers()
finish()
