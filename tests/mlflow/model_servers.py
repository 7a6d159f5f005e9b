# SPDX-License-Identifier: Apache-2.0
"""The chat server before real model servers, its traces read back from MLflow: every user and session, streamed and not,
with the answer that the client got and the tokens that the model server counted.

    model_servers.py [--result FILE]      counts to FILE
"""

import argparse
import json
import pathlib
import time
import urllib.error
import urllib.request

from _chat_server import chat_server
from _model_servers import NAMES, model_server
from _reading import check, check_same, experiment_id, finish, traces_of

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--result", type=pathlib.Path)
options = arguments.parse_args()
USERS = {"user-1": "session 1", "user-2": "o'brien"}
TURNS = 2
QUESTION = "Where can I park bike {}?"


def ask(port: int, user: str, turn: int, stream: bool) -> str:
    """The answer. Of a stream its pieces must be the same."""
    headers = {"X-User-ID": user, "X-Session-ID": USERS[user], "X-Request-ID": f"{user} {turn} {stream}"}
    body = json.dumps({"message": QUESTION.format(turn), "stream": stream}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/chat", body, headers | {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            said = reply.read().decode()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{user}, turn {turn}: {error.read()!r}") from error
    if not stream:
        return json.loads(said)["response"]
    events = [event.split("\ndata: ", 1) for event in said.strip().split("\n\n")]
    pieces = "".join(json.loads(data)["delta"] for kind, data in events if kind == "event: delta")
    check_same(events[-1][0], "event: done", f"{user}, turn {turn}: {said[-300:]}")
    check_same(json.loads(events[-1][1])["response"], pieces, "the pieces")
    return pieces


def served_by(name: str) -> dict:
    experiment, answers = f"model server {name} {time.time_ns()}", {}
    with model_server(name) as upstream, chat_server(experiment, OPENAI_BASE_URL=f"http://127.0.0.1:{upstream}/v1", OPENAI_MODEL="tiny") as port:
        for stream in (False, True):
            for user in USERS:
                for turn in range(TURNS):
                    answers[f"{user} {turn} {stream}"] = ask(port, user, turn, stream)
    traces = {trace.info.client_request_id: trace for trace in traces_of(experiment_id(experiment))}
    check_same(sorted(traces), sorted(answers), f"{name}: turns")
    for where, answer in answers.items():
        user, turn, stream = where.split(" ")
        trace, where = traces[where], f"{name}: {where}"
        check_same(trace.info.trace_metadata.get("mlflow.trace.user"), user, where)
        check_same(trace.info.trace_metadata.get("mlflow.trace.session"), USERS[user], where)
        check_same(trace.info.state.value, "OK", where)
        root, model = (trace.search_spans(name=each)[0] for each in ("chat", "complete"))
        check_same(root.inputs, {"message": QUESTION.format(turn)}, where)
        check(answer != "" and root.outputs == answer, f"{where}: {answer!r}, stored {root.outputs!r}")
        check_same(model.outputs["choices"][0]["message"]["content"], answer, where)
        check(len(model.attributes["gen_ai.response.finish_reasons"]) == 1, f"{where}: {model.attributes}")
        check((len(model.events) > 0) == (stream == "True"), f"{where}: {len(model.events)} pieces")
        if name == "llama-cpp-python" and stream == "True":
            check(trace.info.token_usage is None, f"{where}: {trace.info.token_usage}")  # it does not count them
        else:
            usage = trace.info.token_usage or {}
            check(usage.get("input_tokens", 0) > 100 and usage.get("output_tokens", 0) > 0, f"{where}: {usage}")
    result = {"turns": len(answers), "stored": len(traces), "streamed": sum(turn.endswith("True") for turn in traces)}
    for kind in ("input_tokens", "output_tokens"):
        result[kind] = sum((trace.info.token_usage or {}).get(kind, 0) for trace in traces.values())
    return result


results = {server: served_by(server) for server in NAMES}
if options.result:
    options.result.write_text(json.dumps(results, indent=1) + "\n")
finish()
