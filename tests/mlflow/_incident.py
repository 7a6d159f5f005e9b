# SPDX-License-Identifier: Apache-2.0
"""Two days of a chat application with something wrong since a moment, as an operator finds it on a server.

    _incident.py EXPERIMENT KIND [SEED [SESSIONS [TRUTH.json]]]      into the server of MLFLOW_TRACKING_URI

KIND is what goes wrong for one segment, which the seed chooses with the part at fault: `errors` (a tool raises),
`empty` (the model answers with nothing, and no span fails), `latency`, `sessions` (traces without session and user) or
`cost` (prompts of many times the tokens). Around it are what makes it hard to see: errors of many kinds at all times,
a program that fails all day in the name of one user, a burst of rate limits in a night, and a new version that is
innocent and began to be used in the same hour. TRUTH.json says what is planted.
"""

import collections
import json
import math
import pathlib
import random
import sys
import time

import _dataset
import mlflow
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

KINDS = ("errors", "empty", "latency", "sessions", "cost")
SEGMENTS = {
    "app.version": ["2.3.9", "2.4.0", "2.4.1"],
    "app.region": ["eu-west", "us-east", "ap-south"],
    "app.client": ["web", "ios", "android"],
    "app.model": ["small", "large"],
    "app.plan": ["free", "pro", "team"],
}
TOOLS = {"lookup_order": "Where is my order {}?", "refund_payment": "I want my money back for order {}.", "find_store": "Which store near {} is open?"}
CHAT = ["Hello, can you help me?", "What is your return policy?", "Can I change my address?", "Do you ship abroad?", "Thanks, and how long does it take?"]
NOISE = [("generate", "RateLimitError", "429: try again in {} ms"), ("retrieve", "ConnectionResetError", "peer closed connection {}"),
         ("chat", "ValidationError", "message is longer than {} characters"), ("find_store", "KeyError", "'district-{}'")]  # fmt: skip
CAUSES = [("ssl.SSLCertVerificationError", "certificate verify failed: certificate has expired (payments.internal:8443)"),
          ("psycopg.errors.UndefinedColumn", 'column "shipped_on" does not exist'), ("TimeoutError", "no answer of inventory.internal:9000 within 10 s")]  # fmt: skip


def began(now: float) -> float:
    """The last noon, UTC, of which at least an hour has passed."""
    noon = now // 86400 * 86400 + 12 * 3600
    return noon if now - noon >= 3600 else noon - 86400


def stack_of(kind: str, message: str, tool: str) -> str:
    frames = [("server.py", 88, "handle", "return agent.answer(request)"), ("agent.py", 214, "answer", "result = tools[name](**arguments)"), (f"tools/{tool}.py", 57, tool, "response = client.request(payload)")]
    lines = [f'  File "/srv/app/{file}", line {line}, in {function}\n    {code}' for file, line, function, code in frames]
    return "\n".join(["Traceback (most recent call last):", *lines, f"{kind}: {message}"])


class Incident:
    """The same for the same kind, seed, number of sessions and time since `noon`."""

    def __init__(self, kind: str, seed: int, sessions: int, now: float, noon: float | None = None):
        self.kind, self.rng, self.now, self.noon = kind, random.Random(f"{kind} {seed}"), now, noon or began(now)
        self.key = self.rng.choice(sorted(SEGMENTS))
        self.value = self.rng.choice(SEGMENTS[self.key][1:] if self.key != "app.version" else ["2.4.0"])
        self.tool = self.rng.choice(["lookup_order", "refund_payment"])
        self.cause = self.rng.choice(CAUSES)
        self.users = [f"user-{self.rng.randrange(10**5):05}" for _ in range(max(20, sessions // 3))]
        self.hit: list[dict] = []
        self.turns = sorted((turn for number in range(sessions) for turn in self.session(number)), key=lambda turn: turn["start"])
        self.turns += list(self.robot(sessions // 10))

    def session(self, number: int):
        rng = self.rng
        start = self.now - 900 - rng.random() * 47.5 * 3600
        while rng.random() > 0.35 + 0.65 * math.cos(math.pi * (start - self.noon) / 86400) ** 2:  # fewer at night
            start = self.now - 900 - rng.random() * 47.5 * 3600
        user = self.users[int(len(self.users) * rng.random() ** 2)]
        of_user = random.Random(user)
        segment = {key: of_user.choice(values) for key, values in SEGMENTS.items()}
        segment["app.version"] = "2.4.1" if start > self.noon - 1800 and rng.random() < 0.4 else of_user.choice(["2.3.9", "2.4.0", "2.4.0"])
        base = {"user": None if rng.random() < 0.02 else user, "session": f"{rng.getrandbits(64):016x}", "segment": segment}
        for _ in range(min(9, 1 + int(rng.expovariate(0.6)))):
            if start > self.now - 60:
                return
            tool = rng.choice([None, None, *TOOLS])
            turn = base | {"start": start, "tool": tool, "asked": TOOLS[tool].format(rng.randrange(10**6)) if tool else rng.choice(CHAT),
                           "took": {"retrieve": rng.lognormvariate(-1.5, 0.4), "tool": rng.lognormvariate(-1, 0.5) if tool else 0, "generate": rng.lognormvariate(0.2, 0.4)},
                           "tokens": [round(rng.lognormvariate(6.5, 0.5)), round(rng.lognormvariate(4.5, 0.5))], "fault": None, "empty": False}  # fmt: skip
            if rng.random() < 0.012:
                where, kind, message = rng.choice(NOISE)
                turn["fault"] = (where, kind, message.format(rng.randrange(10**4)))
            if -33 * 3600 < start - self.noon < -32.5 * 3600 and rng.random() < 0.5:
                turn["fault"] = ("generate", "RateLimitError", f"429: try again in {rng.randrange(9999)} ms")
            self.break_(turn)
            yield turn
            start += sum(turn["took"].values()) + rng.expovariate(1 / 40)

    def break_(self, turn: dict) -> None:
        if turn["start"] < self.noon or turn["segment"][self.key] != self.value:
            return
        if self.kind == "errors" and turn["tool"] != self.tool:
            return
        if self.kind == "empty" and self.rng.random() < 0.3:
            return
        self.hit.append(turn)
        if self.kind == "errors":
            turn["fault"] = (self.tool, *self.cause)
            turn["took"]["tool"] = 10.0 if "within" in self.cause[1] else 0.05
        elif self.kind == "empty":
            turn["empty"], turn["fault"] = True, None
            turn["tokens"][1] = 0
        elif self.kind == "latency":
            turn["took"]["retrieve"] = self.rng.uniform(6, 19)
        elif self.kind == "cost":
            turn["tokens"][0] *= 25
        elif self.kind == "sessions":
            turn["session"] = None
            turn["user"] = None if self.rng.random() < 0.5 else turn["user"]

    def robot(self, count: int):
        """A program that calls with a key that has run out, all the time."""
        segment = {key: values[0] for key, values in SEGMENTS.items()} | {"app.client": "api"}
        for number in range(count):
            yield {"user": "robot-7", "session": f"nightly-{number // 10}", "segment": segment, "start": self.now - 47 * 3600 + number * 46 * 3600 / count, "tool": None,
                   "asked": "ping", "took": {"retrieve": 0.01, "tool": 0, "generate": 0.01}, "tokens": [5, 0], "fault": ("chat", "PermissionError", "the key of robot-7 has run out"), "empty": False}  # fmt: skip

    def truth(self) -> dict:
        hit = self.hit
        part = {"errors": self.tool, "empty": "generate", "latency": "retrieve", "cost": "generate", "sessions": None}[self.kind]
        return {"kind": self.kind, "since": self.noon, "segment": [self.key, self.value], "span": part, "cause": list(self.cause) if self.kind == "errors" else None,
                "turns": len(hit), "users": sorted({turn["user"] for turn in hit} - {None}), "sessions": sorted({turn["session"] for turn in hit} - {None}), "all_turns": len(self.turns)}  # fmt: skip

    def spans(self, turn: dict) -> list[Span]:
        rng, at, trace_id = self.rng, turn["start"], self.rng.randbytes(16)
        made: list[Span] = []

        def add(name: str, kind: str, seconds: float, begin: float, values: dict) -> Span:
            span = Span(trace_id=trace_id, span_id=rng.randbytes(8), name=name, start_time_unix_nano=round(begin * 1e9), end_time_unix_nano=round((begin + seconds) * 1e9))
            if made:
                span.parent_span_id = made[0].span_id
            span.status.code = Status.STATUS_CODE_OK
            for key, value in {"mlflow.spanType": kind, **values}.items():
                span.attributes.add(key=key).value.string_value = json.dumps(value)
            if turn["fault"] and turn["fault"][0] == name:
                _, error, message = turn["fault"]
                span.status.code, span.status.message = Status.STATUS_CODE_ERROR, f"{error.rpartition('.')[2]}: {message}"
                event = span.events.add(name="exception", time_unix_nano=span.end_time_unix_nano)
                for key, value in (("type", error), ("message", message), ("stacktrace", stack_of(error, message, name))):
                    event.attributes.add(key="exception." + key).value.string_value = value
            made.append(span)
            return span

        root = add("chat", "AGENT", sum(turn["took"].values()) + 0.02, at, {"mlflow.spanInputs": {"messages": [{"role": "user", "content": turn["asked"]}]}, "mlflow.traceTag.mlflow.traceName": "chat"})
        for key, value in (("user.id", turn["user"]), ("session.id", turn["session"])):
            if value is not None:
                root.attributes.add(key=key).value.string_value = json.dumps(value)
        add("retrieve", "RETRIEVER", turn["took"]["retrieve"], at + 0.01, {"mlflow.spanInputs": {"query": turn["asked"]}, "mlflow.spanOutputs": [{"page_content": "Orders ship within two days."}]})
        at += turn["took"]["retrieve"]
        if turn["tool"]:
            tool = add(turn["tool"], "TOOL", turn["took"]["tool"], at + 0.01, {"mlflow.spanInputs": {"question": turn["asked"]}})
            if tool.status.code != Status.STATUS_CODE_ERROR:
                tool.attributes.add(key="mlflow.spanOutputs").value.string_value = json.dumps({"found": True})
            at += turn["took"]["tool"]
        answer = "" if turn["empty"] else f"Here is what I found about: {turn['asked']}"
        failed = turn["fault"] is not None
        if not failed or turn["fault"][0] in ("chat", "generate"):
            model = turn["segment"]["app.model"]
            price = {"small": 1e-6, "large": 1e-5}[model]
            usage = {"input_tokens": turn["tokens"][0], "output_tokens": turn["tokens"][1], "total_tokens": sum(turn["tokens"])}
            said = {"choices": [{"message": {"role": "assistant", "content": answer}, "finish_reason": "content_filter" if turn["empty"] else "stop"}]}
            add("generate", "CHAT_MODEL", turn["took"]["generate"], at + 0.01, {"mlflow.chat.tokenUsage": usage, "mlflow.llm.model": model, "mlflow.spanInputs": {"messages": [{"role": "user", "content": turn["asked"]}]},
                "mlflow.llm.cost": {"input_cost": usage["input_tokens"] * price, "output_cost": usage["output_tokens"] * 4 * price, "total_cost": usage["input_tokens"] * price + usage["output_tokens"] * 4 * price},
                **({} if failed else {"mlflow.spanOutputs": said})})  # fmt: skip
        if failed:
            root.status.code = Status.STATUS_CODE_ERROR
        else:
            root.attributes.add(key="mlflow.spanOutputs").value.string_value = json.dumps({"role": "assistant", "content": answer})
        return made


def write(uri: str, experiment: str, incident: Incident, batch: int = 400) -> None:
    experiment_id = mlflow.set_experiment(experiment).experiment_id
    headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment_id}
    for first in range(0, len(incident.turns), batch):
        request = ExportTraceServiceRequest()
        for turn in incident.turns[first : first + batch]:
            of_turn = request.resource_spans.add()
            for key, value in turn["segment"].items():  # MLflow makes tags of them
                of_turn.resource.attributes.add(key=key).value.string_value = value
            of_turn.scope_spans.add().spans.extend(incident.spans(turn))
        _dataset.post(uri, "/v1/traces", request.SerializeToString(), headers)


def main() -> None:
    experiment, kind, seed, sessions, path = [*sys.argv[1:], "1", "2000", ""][:2] + [*sys.argv[3:], *["1", "2000", ""][len(sys.argv) - 3 :]]
    incident = Incident(kind, int(seed), int(sessions), time.time())
    write(mlflow.get_tracking_uri(), experiment, incident)
    if path:
        pathlib.Path(path).write_text(json.dumps(incident.truth()))
    failed = collections.Counter(turn["fault"] is not None for turn in incident.turns)
    print(f"{len(incident.turns)} turns, {failed[True]} failed")


if __name__ == "__main__":
    main()
