# SPDX-License-Identifier: Apache-2.0
"""OTLP/JSON of odd shapes that MLflow takes, the same again for the same seed."""

import base64
import json
import random

START = 1_790_000_000_000_000_000
TEXTS = [
    "alice", "bob", "42", "-0", "1.50", "null", "true", '"quoted"', '"42"', '"null"', '""', " ", "{}", '{"a": 1}', "[]", '["x"]', "利用者",
    "\U0001f600", "o'brien", 'say "hi"', "tab\there", "NaN", '"\\u00e9"', ' "spaced" ', "\\", "None", "b'x'", '"\\ud83d\\ude00"',
    "", "", '{"a": 1} x', "'single'",
]  # fmt: skip
MESSAGES = [
    {"messages": [{"role": "user", "content": "first"}, {"role": "assistant", "content": "so"}, {"role": "user", "content": "last é"}]},
    {"messages": [{"role": "system", "content": "only"}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": "in a part"}]}]},
    {"messages": [{"role": "user", "content": ["a text"]}]},
    {"messages": [{"role": "user", "content": None}]},
    {"messages": [{"role": "user"}], "input": [{"role": "user", "content": "as input"}]},
    {"choices": [{"message": {"role": "assistant", "content": "chosen"}}]},
    {"choices": []},
    {"output": [{"type": "reasoning"}, {"role": "assistant", "content": [{"type": "output_text", "text": "said"}]}]},
    {"request": {"input": [{"role": "user", "content": "of a request"}]}},
    {"message": "plain"}, {}, [], ["a", 1, 2.0, None, True], "text", "", 0, 1.5, None, [{"role": "user", "parts": [{"type": "text"}]}],
]  # fmt: skip
LONG = ["x" * 999, "y" * 1000, "é" * 1001, json.dumps({"messages": [{"role": "user", "content": "z" * 1200}]})]
INPUTS = [
    "mlflow.spanInputs", "input.value", "gen_ai.input.messages", "gen_ai.tool.call.arguments", "traceloop.entity.input",
    "gen_ai.prompt.0.content", "gen_ai.prompt.1.content", "gen_ai.completion.0.tool_calls.0.arguments", "gcp.vertex.agent.llm_request",
    "ai.prompt", "ai.prompt.messages", "ai.prompt.tools", "ai.value", "agent.messages", "llm.messages", "input", "lk.user_input", "lk.chat_ctx",
    "lmnr.span.input", "langfuse.observation.input", "user_prompt", "new_context", "tool_input", "file_path",
]  # fmt: skip
OUTPUTS = [
    "mlflow.spanOutputs", "output.value", "gen_ai.output.messages", "gen_ai.tool.call.result", "traceloop.entity.output",
    "gen_ai.completion.0.content", "gcp.vertex.agent.llm_response", "ai.response.text", "ai.response.object", "output", "lk.response.text",
    "lmnr.span.output", "langfuse.observation.output", "response.model_output",
]  # fmt: skip
COUNTS = [
    "llm.token_count.prompt", "llm.token_count.completion", "llm.token_count.total", "llm.token_count.prompt_details.cache_read",
    "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.completion_tokens", "llm.usage.total_tokens", "usage.prompt_tokens", "llm.usage.completion_tokens", "input_tokens",
    "output_tokens", "cache_read_tokens",
]  # fmt: skip
KINDS = {
    "span.type": ["claude_code.interaction", "llm_request", "tool", "claude_code.tool", "llm"],
    "ai.operationId": ["ai.generateText.doGenerate", "ai.streamText.doStream", "ai.generateText"],
    "gen_ai.agent.name": ["gemini-cli", "other"],
    "gen_ai.operation.name": ["chat", "invoke_agent"],
    "openinference.span.kind": ["LLM", "CHAIN"],
}


def any_value(rng: random.Random, value: object) -> dict:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": rng.choice([str, int])(value)}
    if isinstance(value, float):
        return {"doubleValue": value if abs(value) < 1e300 else str(value)}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(rng, one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": any_value(rng, one)} for key, one in value.items()]}}
    return {}


def odd_value(rng: random.Random) -> object:
    others = [7, 0, -1, 2**63 - 1, -(2**63), True, False, 1.0, 0.1, -0.0, 1e22, 1e16, 123456789012345.6, 1e-5, 1.5e-7, b"a'b\"\n\xff", ["a", 1], {"k": "v", "n": None}, [], {}]
    return rng.choice(TEXTS) if rng.random() < 0.8 else rng.choice(others)


def payload(rng: random.Random) -> object:
    value = rng.choice(MESSAGES)
    roll = rng.random()
    if roll < 0.5:
        return json.dumps(value, ensure_ascii=rng.random() < 0.5)
    if roll < 0.7:
        return value
    if roll < 0.8:
        return rng.choice(LONG)
    return rng.choice(TEXTS)


def count(rng: random.Random) -> object:
    return rng.choice([0, 1, 5, 100, 7, 2**40 + 1, "26", " 26 ", "1_000", "x", 5.0, True, '"26"', "2.5", -3, "+4", [1]])


def usage(rng: random.Random) -> object:
    names = ["input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "other"]
    told = {name: rng.choice([0, 1, 5, 12, 3.0, 2.5, True, 2**40]) for name in rng.sample(names, rng.randrange(4))}
    return rng.choice([told, json.dumps(told), json.dumps(told), json.dumps(json.dumps(told)), "[]", "text", 5])


def cost(rng: random.Random) -> object:
    told = {name: rng.choice([0.1, 1, 1e-7, 0.25, 3.0]) for name in rng.sample(["input_cost", "output_cost", "total_cost"], rng.randrange(1, 4))}
    return rng.choice([told, json.dumps(told), json.dumps(told)])


def attributes(rng: random.Random) -> list[tuple[str, object]]:
    told: list[tuple[str, object]] = []
    for key, chance in (("user.id", 0.4), ("session.id", 0.3), ("gen_ai.conversation.id", 0.15), ("enduser.id", 0.05)):
        while rng.random() < chance:
            told.append((key, odd_value(rng)))
            chance /= 2
    for keys, make, chance in ((INPUTS, payload, 0.7), (OUTPUTS, payload, 0.7), (COUNTS, count, 0.6)):
        while rng.random() < chance:
            key, value = rng.choice(keys), make(rng)
            if value is not None or not key.startswith(("mlflow.", "ai.")):  # which MLflow shows as the text null
                told.append((key, value))
    if rng.random() < 0.2:
        told.append(("mlflow.chat.tokenUsage", usage(rng)))
    if rng.random() < 0.15:
        told.append(("mlflow.llm.cost", cost(rng)))
    for key, values in KINDS.items():
        if rng.random() < 0.12:
            told.append((key, rng.choice(values)))
    while rng.random() < 0.2:
        name = rng.choice(["kind", "a/b", "a//b", "/a", "../a", "white space", "semi;colon", "mlflow.traceName", "é", "x" * 250, "x" * 251, "a/./b", "a.b:c-d", ""])
        told.append((f"mlflow.traceTag.{name}", odd_value(rng) if rng.random() < 0.9 else "v" * 4200))
    rng.shuffle(told)
    return told


def events(rng: random.Random) -> list[dict]:
    kinds = [("gen_ai.content.prompt", "gen_ai.prompt"), ("gen_ai.content.completion", "gen_ai.completion"), ("gen_ai.user.message", "content"),
             ("gen_ai.system.message", "content"), ("gen_ai.choice", "content"), ("tool.output", "output"), ("other", "content")]  # fmt: skip
    told = []
    while rng.random() < 0.25:
        name, key = rng.choice(kinds)
        value = rng.choice([text for text in TEXTS if text] + ['{"a": [1, 2.0]}'])
        told.append({"name": name, "timeUnixNano": str(START), "attributes": [{"key": key, "value": {"stringValue": value}}]})
    return told


def span(rng: random.Random, trace_id: str, ids: list[str]) -> dict:
    start = START + rng.randrange(10**10)
    told = {"traceId": trace_id, "spanId": rng.choice(ids), "name": rng.choice(["chat", "POST /chat", ""])}
    parent = rng.choice(["", None, "absent", *ids, "00000000000000ff", "0000000000000000"])
    if parent != "absent":
        told["parentSpanId"] = parent
    told["startTimeUnixNano"] = rng.choice([str, int])(start)
    end = start + rng.choice([0, 1, 999_999, 1_000_000, 10**9, 10**9, 10**9])
    if rng.random() < 0.9:
        told["endTimeUnixNano"] = str(end if rng.random() < 0.95 else start - 10**9)
    told["attributes"] = [{"key": key, "value": any_value(rng, value)} for key, value in attributes(rng)]
    if made := events(rng):
        told["events"] = made
    told["status"] = rng.choice([{}, {"code": 0}, {"code": 1}, {"code": 2}, {"code": "STATUS_CODE_ERROR"}, {"code": 2, "message": "no"}, {"code": 3}, None])
    return told


def resource(rng: random.Random) -> dict:
    told = [("service.name", rng.choice(["app", "other", '"app"'])), ("telemetry.sdk.name", "x"), ("mlflow.x", "y"), ("n", rng.choice([1, 1.5, True, ["a", "é"]])), ("bad;key", "v")]
    chosen = rng.sample(told, rng.randrange(len(told) + 1))
    return {"attributes": [{"key": key, "value": any_value(rng, value)} for key, value in chosen]}


def lines(seed: str, traces: int) -> list[dict]:
    """Requests whose spans belong to about so many traces, each in one to three of them."""
    rng = random.Random(seed)
    made: list[dict] = []
    while traces > 0:
        ids = [f"{rng.getrandbits(128):032x}" for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        traces -= len(ids)
        spans_of = {trace: [f"{rng.getrandbits(64):016x}" for _ in range(rng.randrange(1, 5))] for trace in ids}
        for _ in range(rng.choice([1, 1, 2, 3])):
            request = {"resourceSpans": []}
            used = set()
            for _ in range(rng.choice([1, 1, 2])):
                spans = []
                for _ in range(rng.randrange(1, 5)):
                    trace = rng.choice(ids)
                    one = span(rng, trace, spans_of[trace])
                    # MLflow counts the tokens of a span twice that comes twice in one request.
                    if (trace, one["spanId"]) not in used:
                        used.add((trace, one["spanId"]))
                        spans.append(one)
                request["resourceSpans"].append({"resource": resource(rng), "scopeSpans": [{"scope": {"name": "x"}, "spans": spans}]})
            made.append(request)
            if rng.random() < 0.1:
                made.append(request)  # delivered twice
    return made
