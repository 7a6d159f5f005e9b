# SPDX-License-Identifier: Apache-2.0
"""The chat server under load, its traces read back from MLflow: counts by user, session and request ID are exact.

    chat_server.py                                                    all its tests, at the size of every run
    chat_server.py --sessions 64 --turns 1000 --rate 100 --result FILE  the sessions only, at this size; counts to FILE
"""

import argparse
import asyncio
import collections
import http.server
import json
import pathlib
import random
import subprocess
import tempfile
import threading
import time
import urllib.request

from _chat_server import chat_server, post
from _reading import check, check_same, client, experiment_id, finish, traces_of

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--sessions", type=int, default=24)
arguments.add_argument("--turns", type=int, default=12)
arguments.add_argument("--rate", type=float, default=0, help="turns per second; 0: as fast as they are answered")
arguments.add_argument("--seed", type=int, default=1, help="of the order of the turns")
arguments.add_argument("--result", type=pathlib.Path)
options = arguments.parse_args()
USERS, AT_ONCE = 8, 12


def counts_of(traces: list) -> collections.Counter:
    """Traces by user, session and request ID; what was not given is None."""
    return collections.Counter(
        (
            trace.info.trace_metadata.get("mlflow.trace.user"),
            trace.info.trace_metadata.get("mlflow.trace.session"),
            trace.info.client_request_id,
        )
        for trace in traces
    )


async def load(port: int) -> collections.Counter:
    """Every turn of every session, interleaved, each on a connection of its own with headers of its own."""
    sent, gate = collections.Counter(), asyncio.Semaphore(AT_ONCE)

    async def turn(place: int, session: int, number: int) -> None:
        if options.rate:
            await asyncio.sleep(place / options.rate)
        user, name, request = f"user-{session % USERS}", f"session {session}", f"r-{session}-{number}"
        if session % 5 == 4:
            user = None  # a client that is not signed in sends no such header
        body = json.dumps({"message": f"Where can I park bike {session}?", "stream": number % 3 == 0}).encode()
        lines = ["POST /chat HTTP/1.1", "Host: test", "Content-Type: application/json", "Connection: close"]
        lines += [f"X-User-ID: {user}"] if user else []
        lines += [f"X-Session-ID: {name}", f"X-Request-ID: {request}", f"Content-Length: {len(body)}", "", ""]
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write("\r\n".join(lines).encode() + body)
            answer = (await reader.read()).decode()
            writer.close()
        check(answer.startswith("HTTP/1.1 200 ") and f"X-Request-ID: {request}\r\n" in answer, answer)
        sent[user, name, request] += 1

    order = [(session, number) for session in range(options.sessions) for number in range(options.turns)]
    random.Random(options.seed).shuffle(order)
    await asyncio.gather(*(turn(place, *which) for place, which in enumerate(order)))
    return sent


def keep_result(sent: collections.Counter, found: collections.Counter) -> None:
    def by(index: int, counts: collections.Counter) -> dict:
        total = collections.Counter()
        for key, count in counts.items():
            total[key[index] or "(anonymous)"] += count
        return dict(sorted(total.items()))

    result = {"sessions": options.sessions, "turns_of_each": options.turns, "turns_per_second": options.rate, "seed": options.seed}
    result |= {"sent": sum(sent.values()), "stored": sum(found.values())}
    result |= {"missing": sum((sent - found).values()), "too_many": sum((found - sent).values())}
    result |= {"request_ids": len(by(2, found)), "stored_by_user": by(0, found), "stored_by_session": by(1, found)}
    options.result.write_text(json.dumps(result, indent=1) + "\n")


def interleaved_sessions(*way: str) -> None:
    experiment = f"chat server {time.time_ns()}"
    with chat_server(experiment, *way, APP_ENVIRONMENT="test", APP_VERSION="1.2.3") as port:
        sent = asyncio.run(load(port))
    traces = traces_of(experiment_id(experiment), spans=options.result is None)
    check_same(sum(sent.values()), options.sessions * options.turns, "turns")
    found = counts_of(traces)
    check(found == sent, f"missing {sent - found}, too many {found - sent}")
    if options.result:
        keep_result(sent, found)
        return
    for trace in traces:
        where = trace.info.client_request_id
        number = where.split("-")[1]
        check_same(trace.info.tags.get("deployment.environment.name"), "test", where)
        check_same(trace.info.tags.get("service.version"), "1.2.3", where)
        spans = {span.name: span for span in trace.data.spans}
        check_same(sorted(spans), ["chat", "complete", "note topics", "retrieve"], where)
        root = spans["chat"]
        check_same(root.inputs, {"message": f"Where can I park bike {number}?"}, where)
        check_same(spans["note topics"].inputs["message"], root.inputs["message"], where)
        check(all(span.parent_id == root.span_id for span in spans.values() if span is not root), f"{where}: parents")
        streamed = trace.info.trace_metadata.get("chat.delivery") == "streamed"
        check_same(streamed, int(where.split("-")[2]) % 3 == 0, where)
        check(("gen_ai.server.time_to_first_token" in spans["complete"].attributes) == streamed, where)


def load_generator() -> None:
    """ApacheBench, as fast as it can, for three users at once."""
    requests, experiment = 150, f"chat server ab {time.time_ns()}"
    with chat_server(experiment) as port, tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.write('{"message":"How do refunds work?"}')
        body.flush()
        programs = []
        for user in range(3):
            headers = ["-H", f"X-User-ID: user-{user}", "-H", f"X-Session-ID: session-{user}", "-H", "X-Request-ID: ab"]
            command = ["ab", "-q", "-k", "-n", str(requests), "-c", "8", "-p", body.name, "-T", "application/json", *headers]
            programs.append(subprocess.Popen([*command, f"http://127.0.0.1:{port}/chat"], stdout=subprocess.PIPE, text=True))
        for program in programs:
            said, _ = program.communicate(timeout=250)
            check(f"Complete requests:      {requests}\n" in said and "Non-2xx" not in said, said)
    found = counts_of(traces_of(experiment_id(experiment), spans=False))
    check_same(dict(found), {(f"user-{u}", f"session-{u}", "ab"): requests for u in range(3)}, "traces of ab")


def feedback() -> None:
    experiment = f"chat server feedback {time.time_ns()}"
    headers = {"X_User_ID": "user-1", "X_Session_ID": "o'brien"}
    with chat_server(experiment) as port:
        turns = [post(port, "/chat", {"message": "Where can I park?"}, **headers)[1]["trace_id"] for _ in range(2)]
        rated = {"trace_id": turns[1], "value": True, "rationale": "clear"}
        check_same(post(port, "/feedback", rated, **headers)[0], 200, "feedback on a turn")
        rated = {"trace_id": turns[1], "value": 4, "name": "satisfaction", "about": "session"}
        status, reply = post(port, "/feedback", rated, **headers)
        check_same((status, reply["session_id"]), (200, "o'brien"), "feedback on a session")
        check_same(post(port, "/feedback", rated, X_User_ID="user-2")[0], 404, "feedback on a turn of somebody else")
        for bad in ({}, {"trace_id": turns[0]}, {"trace_id": 7, "value": 1}, {"trace_id": turns[0], "value": [1]}):
            check_same(post(port, "/feedback", bad, **headers)[0], 400, f"feedback {bad}")
    first, second = (client.get_trace(turn) for turn in turns)
    told = [(a.name, a.value, a.rationale, a.source.source_id) for a in second.info.assessments]
    check_same(told, [("helpful", True, "clear", "user-1")], "the turn's feedback")
    told = [(a.name, a.value, a.metadata) for a in first.info.assessments]
    check_same(told, [("satisfaction", 4, {"mlflow.trace.session": "o'brien"})], "the session's feedback")
    check_same(second.info.trace_metadata["mlflow.trace.session"], "o'brien", "the session of the turn")


class OpenAI(http.server.BaseHTTPRequestHandler):
    """Speaks the protocol of OpenAI's chat completions: answers each question with its last word."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = asked["messages"][-1]["content"].split()[-1]
        usage = {"prompt_tokens": len(asked["messages"]), "completion_tokens": 3, "total_tokens": len(asked["messages"]) + 3}
        self.send_response(200)
        if not asked.get("stream"):
            body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunks = [{"choices": [{"delta": {"content": letter}}]} for letter in text]
        if asked["stream_options"]["include_usage"]:
            chunks.append({"choices": [], "usage": usage})
        for data in [*map(json.dumps, chunks), "[DONE]"]:
            event = f"data: {data}\n\n".encode()
            self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_) -> None:
        pass


def model_elsewhere() -> None:
    experiment = f"chat server upstream {time.time_ns()}"
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OpenAI)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{upstream.server_port}/v1"
    with chat_server(experiment, OPENAI_BASE_URL=url, OPENAI_MODEL="last-word") as port:
        for stream in (False, True):
            headers = {"X-User-ID": "user-1", "X-Request-ID": str(stream), "Content-Type": "application/json"}
            body = json.dumps({"message": "What is the last word", "stream": stream}).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}/chat", body, headers)
            with urllib.request.urlopen(request, timeout=60) as reply:
                check('"response":"word"' in reply.read().decode(), "the upstream's answer")
    upstream.shutdown()
    for trace in traces_of(experiment_id(experiment)):
        where = f"upstream, streamed: {trace.info.client_request_id}"
        model = trace.search_spans(name="complete")[0]
        check_same(model.outputs["choices"][0]["message"], {"role": "assistant", "content": "word"}, where)
        check_same(model.attributes["mlflow.llm.model"], "last-word", where)
        told = {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5}
        check_same(model.attributes["mlflow.chat.tokenUsage"], told, where)
        check_same(trace.info.token_usage, told, where)
        events = [event.name for event in model.events]
        check_same(events, [f"mlflow.chunk.item.{n}" for n in range(4)] if trace.info.client_request_id == "True" else [], where)


interleaved_sessions()
if not options.result:
    interleaved_sessions("--coroutines")
    load_generator()
    feedback()
    model_elsewhere()
finish()
