# SPDX-License-Identifier: Apache-2.0
"""The page that `mlflow_sessions report` writes: its figures are those computed here from the same traces, a browser
shows them, nothing that a user said becomes markup, and axe finds nothing.

    report_test.py PROGRAM file     the page as a file
    report_test.py PROGRAM page     the page in Chromium, and before axe-core of npm, where they are to be had
"""

import base64
import hashlib
import html.parser
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import zlib

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = "axe-core@4.10.3"
EVIL = "</script><img src=x onerror=\"document.title='owned'\"><!--<script>{{style}}'\"&\u202e"
SEED = int(os.environ.get("MLFLOW_TRACE_SEED", random.SystemRandom().randrange(2**32)))
checks = 0


def check(good: bool, what: str) -> None:
    global checks
    checks += 1
    if not good:
        sys.exit(what)


# ---- Traces, and what they add up to


def value(of: object) -> dict:
    kind = {str: "stringValue", int: "intValue", float: "doubleValue"}[type(of)]
    return {kind: str(of) if isinstance(of, int) else of}


def make_traces(copies: int) -> list[dict]:
    """The conversations of the examples, several times over, with times, tokens, costs and failures."""
    rng = random.Random(7)
    turns = [json.loads(line) for line in (EXAMPLES / "conversations.jsonl").read_text().splitlines()]
    traces = []
    for copy in range(copies):
        for nth, turn in enumerate(turns):
            failed = rng.random() < 0.15
            traces.append(
                {
                    "id": f"{rng.getrandbits(128) | 1 << 120:032x}",
                    "time": 1_795_600_000_000 + copy * 3_600_000 + nth * 20_000,
                    "duration": rng.randint(1, 9000),
                    "user": turn.get("user"),
                    "session": f"{turn['session']}/{copy}" if "session" in turn else None,
                    "segment": rng.choice(["free", "pro"]),
                    "input": rng.randint(1, 2000),
                    "output": rng.randint(1, 500),
                    "cost": rng.randint(1, 10_000) / 1_000_000,
                    "failed": failed,
                    "fault": f"TimeoutError: no answer within {rng.randint(1000, 9999)} ms",
                    "question": turn["message"],
                    "answer": f"Answer {nth} of {copy}" if (nth, copy) != (3, 5) else "",
                }
            )
    return traces


def line_of(trace: dict) -> str:
    root, tool = trace["id"][:16], trace["id"][16:]
    status = {"code": 2, "message": trace["fault"]} if trace["failed"] else {"code": 1}
    begin, end = trace["time"] * 10**6, (trace["time"] + trace["duration"]) * 10**6
    attributes = {
        "mlflow.spanInputs": json.dumps({"messages": [{"role": "user", "content": trace["question"]}]}),
        "mlflow.chat.tokenUsage": json.dumps({"input_tokens": trace["input"], "output_tokens": trace["output"]}),
        "mlflow.llm.cost": json.dumps({"total_cost": trace["cost"]}),
        "mlflow.traceMetadata.app.segment": trace["segment"],
    }
    for key, name in (("user.id", "user"), ("session.id", "session")):
        if trace[name]:
            attributes[key] = json.dumps(trace[name])
    if not trace["failed"]:
        attributes["mlflow.spanOutputs"] = json.dumps({"choices": [{"message": {"role": "assistant", "content": trace["answer"]}}]})
    attributes |= trace.get("more", {})

    def span(id_: str, parent: str, name: str, attributes: dict) -> dict:
        return {"traceId": trace["id"], "spanId": id_, "parentSpanId": parent, "name": name, "status": status,
                "startTimeUnixNano": str(begin), "endTimeUnixNano": str(end),
                "attributes": [{"key": key, "value": value(one)} for key, one in attributes.items()]}  # fmt: skip

    spans = [span(root, "", trace.get("name", "chat"), attributes),
             span(tool, root, trace.get("tool", "lookup"), {"mlflow.spanType": "TOOL", "mlflow.spanInputs": json.dumps({"of": trace["question"]})})]  # fmt: skip
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n"


def percentile(values: list[int], percent: float) -> float:
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def groups(traces: list[dict], key: str) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for trace in traces:
        if trace[key]:
            found.setdefault(trace[key], []).append(trace)
    return found


# ---- The page as a file


def report(folder: pathlib.Path, traces: list[dict], *options: str) -> pathlib.Path:
    source, page = folder / "traces.jsonl", folder / "report.html"
    source.write_text("".join(map(line_of, traces)))
    done = subprocess.run([PROGRAM, "report", "--tracking-uri", str(source), "--output", str(page), *options], capture_output=True, text=True, timeout=120)
    check(done.returncode == 0 and done.stdout == "", f"report: {done}")
    return page


def blocks_of(page: pathlib.Path) -> dict[str, object]:
    blocks = {}
    for name, kind, text in re.findall(r'<script data-block="([a-z0-9]+)" type="([a-z/]+)">([^<]*)</script>', page.read_text()):
        blocks[name] = json.loads(zlib.decompress(base64.b64decode(text)) if kind == "text/deflate" else text)
    return blocks


def check_data(page: pathlib.Path, traces: list[dict]) -> None:
    blocks = blocks_of(page)
    figures = blocks["figures"]
    by_id = {"tr-" + trace["id"]: trace for trace in traces}
    check(sorted(figures["id"]) == sorted(by_id), "other traces")
    time, sessions = 0, []
    for at, id_ in enumerate(figures["id"]):
        trace, time = by_id[id_], time + figures["time"][at]
        pick = lambda column, texts: figures[texts][figures[column][at]] if figures[column][at] >= 0 else None  # noqa: E731
        said = {"time": time, "duration": figures["duration"][at], "user": pick("user", "users"), "session": pick("session", "sessions"),
                "input": figures["input"][at], "output": figures["output"][at], "cost": figures["cost"][at], "failed": figures["status"][at] == 2}  # fmt: skip
        check(all(trace[name] == one for name, one in said.items()), f"{id_}: {said} in place of {trace}")
        check((pick("fault", "faults") or [None, None])[1] == (trace["fault"] if trace["failed"] else None), f"{id_}: why it failed")
        request, response = blocks[f"t{at // blocks['about']['texts']}"][at % blocks["about"]["texts"]][:2]
        check(request == trace["question"] or trace["question"] == "", f"{id_}: question")
        check(response == ("" if trace["failed"] else trace["answer"]) or (not trace["failed"] and trace["answer"] == ""), f"{id_}: answer {response}")
        spans = blocks[f"s{at // blocks['about']['spans']}"][at % blocks["about"]["spans"]]
        check([span[0] for span in spans] == [trace["id"][:16], trace["id"][16:]] and spans[1][1] == spans[0][0], f"{id_}: spans")
        sessions.append(said["session"])
    runs = [one for at, one in enumerate(sessions) if one and (at == 0 or sessions[at - 1] != one)]
    check(len(runs) == len(set(runs)), "the turns of a session are apart")
    silent = [f"tr-{trace['id']}" for trace in traces if not trace["failed"] and trace["answer"] == ""]
    check([figures["id"][at] for at in figures.get("silent", [])] == silent, f"turns without an answer: {figures.get('silent')}")


def check_content(folder: pathlib.Path, traces: list[dict]) -> None:
    for content, kinds in (("previews", {"t"}), ("figures", set())):
        page = report(folder, traces[:50], "--content", content)
        found = {name[0] for name in blocks_of(page) if re.fullmatch(r"[st]\d+", name)}
        check(found == kinds, f"--content {content}: blocks {found}")
        text = json.dumps(blocks_of(page), ensure_ascii=False)
        check((traces[0]["question"] in text) == (content == "previews"), f"--content {content}: messages")
    some = report(folder, traces, "--user", "user-1042")
    check(blocks_of(some)["figures"]["users"] == ["user-1042"], "--user")
    check(report(folder, []).stat().st_size > 50_000, "a page of nothing")


class elements(html.parser.HTMLParser):
    """Names of elements, the text, and each table row as its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, dict]] = []
        self.rows: list[list[str]] = []
        self.text, self.cell, self.raw = "", None, None
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.names.append(tag)
        self.attributes.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self.raw = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.cell = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == self.raw:
            self.raw = None
        if tag in ("td", "th") and self.cell is not None:
            self.rows[-1].append(self.cell)
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.raw:
            return
        self.text += data
        if self.cell is not None:
            self.cell += data


def page_of(folder: pathlib.Path, name: str, spans: list[dict]) -> pathlib.Path:
    """The report of a file NAME.jsonl with these spans in one line."""
    source, page = folder / f"{name}.jsonl", folder / f"{name}.html"
    source.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n")
    done = subprocess.run([PROGRAM, "report", "--tracking-uri", str(source), "--output", str(page)], capture_output=True, text=True, timeout=120)
    check(done.returncode == 0, f"report of {name}, {len(spans)} spans: {done}")
    return page


def many_spans(folder: pathlib.Path, count: int, is_nested: bool) -> pathlib.Path:
    """The page of a trace of which every span failed: each span is below the one before it, or all are below the first."""
    spans = [
        {"traceId": f"{1:032x}", "spanId": f"{number + 1:016x}", "name": f"step {number}", "status": {"code": 2, "message": f"reason {number}"},
         "parentSpanId": "" if number == 0 else f"{number if is_nested else 1:016x}",
         "startTimeUnixNano": str(1_795_600_000_000_000_000 + number * 1000), "endTimeUnixNano": "1795600009000000000",
         "attributes": [{"key": "session.id", "value": value("many")}] if number == 0 else []}
        for number in range(count)
    ]  # fmt: skip
    return page_of(folder, "many", spans)


def check_many_spans(folder: pathlib.Path) -> None:
    count = 2_000
    for is_nested in (False, True):
        blocks = blocks_of(many_spans(folder, count, is_nested))
        names = [span[2] for span in blocks["s0"][0]]
        check(names == [f"step {number}" for number in range(count)], f"{len(names)} spans in place of {count}")
        cause = count - 1 if is_nested else 1
        faults = blocks["figures"]["faults"]
        check(faults == [[f"step {cause}", f"reason {cause}"]] and blocks["figures"]["fault"] == [0], f"nested: {is_nested}: {faults}")


# The spans of a failed trace, each with its reason, which may be missing; and the place of the one that the page names:
# the first that says why, otherwise the first without a failed child.
UNEXPLAINED = [
    ([("chat", "boom"), ("lookup", "")], 0),
    ([("chat", ""), ("lookup", "")], 1),
    ([("chat", ""), ("lookup", ""), ("pay", "declined")], 2),
    ([("chat", "boom"), ("lookup", ""), ("pay", "declined")], 2),
]


def unexplained(folder: pathlib.Path, steps: list[tuple[str, str]]) -> pathlib.Path:
    spans = [
        {"traceId": f"{1:032x}", "spanId": f"{nth + 1:016x}", "parentSpanId": f"{1:016x}" if nth else "", "name": name, "status": {"code": 2, "message": why},
         "startTimeUnixNano": str(1_795_600_000_000_000_000 + nth * 1000), "endTimeUnixNano": "1795600001000000000",
         "attributes": [] if nth else [{"key": "session.id", "value": value("unexplained")}]}
        for nth, (name, why) in enumerate(steps)
    ]  # fmt: skip
    return page_of(folder, "unexplained", spans)


def check_unexplained(folder: pathlib.Path) -> None:
    """The page names one of the causes that `errors` lists."""
    for steps, place in UNEXPLAINED:
        faults = blocks_of(unexplained(folder, steps))["figures"]["faults"]
        printed = subprocess.run([PROGRAM, "errors", "--json", "--tracking-uri", str(folder / "unexplained.jsonl")], capture_output=True, text=True, timeout=120)
        causes = [row["error"] for row in json.loads(printed.stdout)]
        name, why = steps[place]
        check(faults == [[name, why]] and (f"{name}: {why}" if why else f"{name} failed") in causes, f"{steps}: {faults}, errors: {causes}")


def check_unexplained_shown(folder: pathlib.Path) -> None:
    for steps, place in UNEXPLAINED:
        pressed = walked(unexplained(folder, steps), """
            await go("#/session/unexplained");
            main.querySelector(".turn footer button").click();
            await until(() => main.querySelector(".bar-row"));
            return [...main.querySelectorAll(".bar-row")].map(one => one.getAttribute("aria-pressed") === "true");""")
        check(pressed == [nth == place for nth in range(len(steps))], f"{steps}: another span is chosen: {pressed}")


def check_safety(page: pathlib.Path, evil_page: pathlib.Path) -> None:
    plain, evil = elements(page.read_text()), elements(evil_page.read_text())
    differ = [name for name in plain.names if name != "script"] != [name for name in evil.names if name != "script"]
    check(not differ, "what a user said became an element")
    for text in (page.read_text(), evil_page.read_text()):
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
        for kind in ("script", "style"):
            body = re.search(rf"<{kind}>(.*?)</{kind}>", text, re.S)[1]
            digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            check(f"{kind}-src 'sha256-{digest}'" in policy, f"the policy does not name the {kind}")
        check("default-src 'none'" in policy and "unsafe" not in policy, policy)
        check(not re.search(r'<[^>]+ (src|href)="(?!#)[^"]*"', text), "the page asks for another file")


# ---- The page in a browser


def shown(page: pathlib.Path, fragment: str) -> elements:
    address = page.as_uri() + fragment
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--window-size=1400,1000",
             "--virtual-time-budget=20000", "--dump-dom", address], capture_output=True, text=True, timeout=120)  # fmt: skip
    check("data-ready" in done.stdout, f"{fragment}: the page did not come up: {done.stderr[-2000:]}")
    return elements(re.sub(r"<script data-block.*?</script>", "", done.stdout, flags=re.S))


def milliseconds(text: str) -> tuple[float, float]:
    """A length of time as the page writes it, and how exact that is."""
    units = {"µs": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
    parts = re.findall(r"([\d.]+) (µs|ms|s|min|h|d)", text)
    number, unit = parts[-1]
    exact = units[unit] * 10 ** -len(number.partition(".")[2])
    return sum(float(number) * units[unit] for number, unit in parts), exact


def is_time(text: str, expected: float) -> bool:
    read, exact = milliseconds(text)
    return abs(read - expected) <= exact * 1.001


def money(text: str, expected: float) -> bool:
    digits = text.removeprefix("$").replace(",", "")
    return abs(float(digits) - expected) <= 0.501 * 10 ** -len(digits.partition(".")[2])


def check_shown(page: pathlib.Path, traces: list[dict]) -> None:
    users, sessions = groups(traces, "user"), groups(traces, "session")
    durations = [trace["duration"] for trace in traces]
    overview = shown(page, "#/overview").text
    for label, text in (("Users", str(len(users))), ("Sessions", f"{len(sessions):,}"), ("Turns", f"{len(traces):,}")):
        check(re.search(rf"{label}\s*{text}", overview) is not None, f"{label} {text} is not in the overview: {overview[:1500]}")
    failed = sum(trace["failed"] for trace in traces)
    check(f"{failed} turns failed" in overview, "failed turns")
    for name, percent in (("p50", 50), ("p95", 95)):
        found = re.search(rf"Latency {name}\s*([\d.]+ m?s)", overview)
        check(found is not None and is_time(found[1], percentile(durations, percent)), f"{name}: {found}")

    table = shown(page, "#/users")
    head = next(row for row in table.rows if row and row[0] == "User")
    rows = {row[0]: dict(zip(head, row)) for row in table.rows if row and row[0] in users}
    check(set(rows) == set(users), f"users: {sorted(rows)}")
    for user, own in users.items():
        row, times = rows[user], [trace["duration"] for trace in own]
        check(int(row["Turns"].replace(",", "")) == len(own), f"{user}: turns {row}")
        check(int(row["Sessions"]) == len({trace["session"] for trace in own if trace["session"]}), f"{user}: sessions {row}")
        check(int(row["Errors"]) == sum(trace["failed"] for trace in own), f"{user}: errors {row}")
        check(is_time(row["p50"], percentile(times, 50)) and is_time(row["p95"], percentile(times, 95)), f"{user}: {row}")
        check(money(row["Cost"], sum(trace["cost"] for trace in own)), f"{user}: cost {row}")

    session, turns = max(sessions.items(), key=lambda one: len(one[1]))
    quoted = "#/session/" + urllib.parse.quote(session, safe="")
    read = shown(page, quoted).text
    place = 0
    for turn in sorted(turns, key=lambda one: one["time"]):
        for text in (turn["question"], turn["fault"] if turn["failed"] else turn["answer"]):
            place = read.find(text, place)
            check(place >= 0, f"{session}: {text!r} is not where it was said")
    silent = next(trace for trace in traces if trace["answer"] == "" and not trace["failed"])
    check("1 of" in shown(page, "#/turns?status=silent").text, "turns without an answer")
    check("No answer, and no span failed" in shown(page, "#/session/" + urllib.parse.quote(silent["session"], safe="")).text, "a turn without an answer")
    check(re.search(r"\d+ of \d+ ?Next →|← Previous ?\d+ of \d+", read) is not None, "the way to the next session")
    chosen = turns[-1]["id"]
    linked = shown(page, f"{quoted}/tr-{chosen}").attributes
    check(any(one.get("id") == f"turn-tr-{chosen}" and "chosen" in one.get("class", "") for _, one in linked), "a link to a turn opens it")

    pro = [trace for trace in traces if trace["segment"] == "pro" and trace["failed"]]
    check(f"{len(pro)} of {len(traces):,} turns" in shown(page, "#/turns?status=error&is.app.segment=pro").text, "filters that combine")
    text = [trace for trace in traces if "refund" in trace["question"].lower()]
    check(text and f"{len(text)} of {len(traces):,} turns" in shown(page, "#/turns?text=REFUND").text, "search in what was said")
    causes = [row for row in shown(page, "#/errors").rows if len(row) > 3 and row[0].startswith("lookup: TimeoutError")]
    check(len(causes) == 1 and causes[0][2] == str(failed), f"one cause of {failed} errors: {causes}")
    compared = {row[0]: row for row in shown(page, "#/compare").rows if row and row[0] in ("free", "pro")}
    for segment in ("free", "pro"):
        own = [trace for trace in traces if trace["segment"] == segment]
        check(str(len(own)) in compared[segment] and str(sum(trace["failed"] for trace in own)) in compared[segment], f"compare: {compared}")
    check("No traces match" in shown(page, "#/turns?user=nobody").text, "nothing found is said")


def check_compare_nothing(folder: pathlib.Path, traces: list[dict]) -> None:
    """Turns that lack the key by which groups are made."""
    some = [trace | {"more": {"mlflow.traceMetadata.a": str(nth % 2)} if nth < 20 else {}} for nth, trace in enumerate(traces)]
    quoted = urllib.parse.quote(some[-1]["session"], safe="")
    check("None of these turns has a." in shown(report(folder, some), f"#/compare?session={quoted}").text, "turns without the key to compare by")


def check_evil_shown(page: pathlib.Path) -> None:
    quoted = urllib.parse.quote(EVIL, safe="")
    for fragment in ("#/overview", "#/users", "#/sessions", "#/turns", "#/errors", "#/compare", f"#/user/{quoted}", f"#/session/{quoted}", f"#/turns?text={quoted}"):
        page_shown = shown(page, fragment)
        check("img" not in page_shown.names and "<title>owned" not in page_shown.text, f"{fragment}: markup")
        check(EVIL in page_shown.text or fragment == "#/overview", f"{fragment}: the text is not there")


def check_many_shown(folder: pathlib.Path) -> None:
    """More nested spans than a browser lets functions call each other."""
    count = 10_000
    page_shown = shown(many_spans(folder, count, True), "#/session/many")
    rows = [one for _, one in page_shown.attributes if "bar-row" in one.get("class", "").split()]
    check(len(rows) == count, f"{len(rows)} spans are shown in place of {count}")
    pressed = [at for at, one in enumerate(rows) if one["aria-pressed"] == "true"]
    check(pressed == [count - 1], f"the span that caused the failure is chosen: {pressed}")
    check(f"reason {count - 1}" in page_shown.text, "the cause of the failure is shown")


# ---- Messages of any form

DEEP = "stands for arrays within arrays"


def any_json(rng: random.Random, depth: int = 0) -> object:
    names = ["text", "content", "type", "role", "name", "function", "arguments", "input", "0", "length", "map", "then", "toString", "valueOf", "toJSON", "__proto__", "constructor"]
    kind = rng.randrange(13 if depth < 3 else 9)
    if kind < 9:
        return rng.choice([None, True, False, 0, -1, 2.5, 1e300, "", "word", "*a* `b` **c**\n- d\n# e\n```", '{"a": [1]}', "[", '"quoted"', "user", "tool_use", "\x00\u2028"])
    if kind < 11:
        return [any_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(names): any_json(rng, depth + 1) for _ in range(rng.randrange(4))}


def any_message(rng: random.Random) -> object:
    """A message as providers write it, with any JSON in place of some of its values."""

    def of(*usual: object) -> object:
        return any_json(rng) if rng.random() < 0.4 else rng.choice(usual)

    def part() -> object:
        return of({"type": of("text"), "text": of("said")}, {"type": of("tool_use"), "name": of("look"), "input": of({"of": 1})}, {"type": of("tool_result"), "content": of("found")})

    def call() -> object:
        return of({"function": of({"name": of("look"), "arguments": of('{"of": 1}')})}, {"name": of("look"), "args": of({"of": 1})}, {"name": of("look"), "arguments": of("{}")})

    message = {"role": of("user", "assistant", "human", "model", "tool"), "type": of("ai", "message"), "content": of("said", [part(), part()], {"text": of("said")}),
               "parts": of([part()]), "text": of("said"), "tool_calls": of([call(), call()])}  # fmt: skip
    return of({key: message[key] for key in message if rng.random() < 0.7})


def any_inputs(rng: random.Random) -> object:
    messages = [any_message(rng) for _ in range(rng.randrange(1, 4))]
    wrapped = rng.choice([{key: messages} for key in ("messages", "input", "output", "request", "contents")]
                         + [messages, {"message": messages[0]}, {"choices": [{"message": one} for one in messages]}, {"input": {"messages": messages}}, any_json(rng), {rng.choice(["question", "text", "content"]): any_json(rng)}])  # fmt: skip
    return json.dumps(wrapped) if rng.random() < 0.1 else wrapped


def odd_cases(rng: random.Random, count: int) -> list[tuple[object, str]]:
    """Inputs of a span, and what its details must show of them."""

    def user(**more: object) -> dict:
        return {"messages": [{"role": "user", "content": "asked", **more}]}

    return [
        (user(tool_calls={"0": {"name": "look"}}), "asked"), (user(tool_calls=[None, {"name": {"of": "named"}}]), "named"), (user(tool_calls=[{"function": {"name": 5, "arguments": {"of": "called"}}}]), "called"),
        (user(content={"text": {"is": "within"}}), "within"), (user(content={"text": 51966}), "51966"), (user(content=47806), "47806"), (user(content=[None, 3, {"type": "text", "text": {"is": "within"}}]), "within"),
        (user(content=[{"type": {"toString": 1}}, "asked"]), "asked"), (user(role={"toString": 1, "valueOf": 1}), "asked"), (user(content={"toString": "odd"}), "odd"),
        (user(content=[{"type": "tool_use", "name": {"toString": 1}, "input": "used"}]), "used"), ({"choices": [{"message": "said"}]}, "said"), ({"choices": [{"message": {"content": "said"}}, None, 5]}, "said"), (DEEP, ""), (user(content=DEEP), ""), (user(content=[{"text": DEEP}]), ""),
        *((any_inputs(rng), "") for _ in range(count)),
    ]  # fmt: skip


def odd_page(folder: pathlib.Path, cases: list[tuple[object, str]], rng: random.Random) -> pathlib.Path:
    """A session of one turn for each case, whose inputs are those of its root span and of the span below it."""
    source, page = folder / "odd.jsonl", folder / "odd.html"
    lines = []
    for number, (inputs, _) in enumerate(cases):
        said = {"mlflow.spanInputs": json.dumps(inputs).replace(f'"{DEEP}"', "[" * 3000 + "]" * 3000), "mlflow.spanOutputs": json.dumps(any_inputs(rng)), "mlflow.chat.tokenUsage": json.dumps(any_json(rng))}
        spans = [{"traceId": f"{number + 1:032x}", "spanId": f"{nth + 1:016x}", "parentSpanId": f"{1:016x}" if nth else "", "name": f"step {nth}", "status": {"code": 1},
                  "startTimeUnixNano": str(1_795_600_000_000_000_000 + number * 10**9 + nth), "endTimeUnixNano": str(1_795_600_000_500_000_000 + number * 10**9),
                  "attributes": [{"key": key, "value": value(one)} for key, one in (said | ({} if nth else {"session.id": f"odd-{number}"})).items()]} for nth in range(2)]  # fmt: skip
        lines.append(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n")
    source.write_text("".join(lines))
    done = subprocess.run([PROGRAM, "report", "--tracking-uri", str(source), "--output", str(page)], capture_output=True, text=True, timeout=120)
    check(done.returncode == 0, f"report of odd messages: {done}")
    return page


def walked(page: pathlib.Path, walk: str) -> object:
    """What the body of an async function returns in the page. It may use until(test), go(fragment) and faults."""
    run = f"""
        (async () => {{
          const root = document.documentElement, main = document.getElementById("main"), faults = [];
          addEventListener("error", event => faults.push(event.message));
          addEventListener("unhandledrejection", event => faults.push(String(event.reason)));
          const until = async test => {{ for (let n = 0; n < 500 && !test(); ++n) await new Promise(done => setTimeout(done, 20)); return !!test(); }};
          const go = async fragment => {{ await until(() => root.dataset.ready); delete root.dataset.ready; location.hash = fragment; return until(() => root.dataset.ready); }};
          const found = await (async () => {{ {walk} }})().catch(error => "the walk failed: " + error.stack);
          document.title = "walked:" + JSON.stringify(found);
        }})();"""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(), count=1)  # the policy would not let the script in
    changed = page.with_suffix(".walked.html")
    changed.write_text(text.replace("</body>", f"<script>{run}</script></body>"))
    title = shown_title(changed, "#/overview")
    check(title.startswith("walked:"), f"the walk through {page.name} did not end: {title}")
    return json.loads(title.removeprefix("walked:"))


def check_odd_messages(folder: pathlib.Path) -> None:
    """Whatever a message consists of, its session and each of its spans are shown."""
    rng = random.Random(SEED)
    cases = odd_cases(rng, 150)
    faults = walked(odd_page(folder, cases, rng), f"""
        history.replaceState = () => {{}}; // Chromium ignores all that would change the address more than 200 times in 10 s
        const texts = {json.dumps([text for _, text in cases])};
        for (const [nth, text] of texts.entries()) {{
          const isReady = await go("#/session/odd-" + nth), turn = main.querySelector(".turn");
          if (!isReady || !turn) return [nth, "the session is not shown", main.textContent.slice(0, 300), faults];
          turn.querySelector("footer button").click();
          if (!await until(() => main.querySelectorAll(".bar-row").length === 2)) return [nth, "the spans are not shown", faults];
          for (const row of main.querySelectorAll(".bar-row")) {{
            row.click();
            const details = main.querySelector(".details");
            if (row.getAttribute("aria-pressed") !== "true" || !row.textContent.includes(details.querySelector("h3 bdi").textContent)) return [nth, "a span is not shown", faults];
            if (!details.textContent.includes(text)) return [nth, "the span lacks " + text, details.textContent.slice(0, 300)];
          }}
          if (faults.length) return [nth, "a fault", faults];
        }}
        return [];""")  # fmt: skip
    check(faults == [], f"seed {SEED}: {faults}: {json.dumps(cases[faults[0]][0])[:2000] if faults and isinstance(faults[0], int) else ''}")


def with_block(page: pathlib.Path, name: str, content: str) -> pathlib.Path:
    """The page with another content of one of its blocks."""
    changed = page.with_suffix(f".{name}.html")
    block = f'<script data-block="{name}" type="application/json">{content}</script>'
    text, count = re.subn(rf'<script data-block="{name}" type="[a-z/]+">[^<]*</script>', lambda _: block, page.read_text())
    check(count == 1, f"{page.name} has {count} blocks {name}")
    changed.write_text(text)
    return changed


def check_broken_block(page: pathlib.Path, session: str) -> None:
    """A view that cannot be made says so, and the way to the others is open."""
    fragment = "#/session/" + urllib.parse.quote(session, safe="")
    found = walked(with_block(page, "s0", "{"), f"""
        await go({json.dumps(fragment)});
        await new Promise(done => setTimeout(done, 1000));
        const said = main.textContent;
        return [said, faults, await go("#/users"), main.textContent.includes("user-1042")];""")  # fmt: skip
    check("This view cannot be shown" in found[0] and "SyntaxError" in found[0] and found[1:] == [[], True, True], f"a broken block: {found}")
    check("This view cannot be shown" in shown(with_block(page, "s0", "{"), fragment).text, "a broken block, opened by a link")


def check_long_session(page: pathlib.Path) -> None:
    """More turns in a session than a function takes arguments."""
    count, figures = 140_000, blocks_of(page)["figures"]
    for name in ("cost", "duration", "experiment", "fault", "input", "name", "output", "cached", "session", "status", "user"):
        figures[name] = figures[name][:1] * count
    figures |= {"id": [f"tr-{number}" for number in range(count)], "time": figures["time"][:1] + [1000] * (count - 1), "keys": [], "said": [], "silent": [],
                "names": [str(number) for number in range(count)], "name": list(range(count)), "session": [0] * count}  # fmt: skip
    long = with_block(page, "figures", json.dumps(figures).replace("<", "\\u003c"))
    found = walked(long, f"""
        await go({json.dumps("#/session/" + urllib.parse.quote(figures["sessions"][0], safe=""))});
        const turns = [main.querySelectorAll(".timeline .line > span").length, main.querySelectorAll(".turn").length, faults];
        await go("#/compare");
        return [...turns, main.textContent.includes("Groups")];""")  # fmt: skip
    check(found == [count, 200, [], True], f"a session of {count} turns: {found}")


def check_axe(page: pathlib.Path, session: str) -> str:
    npm = shutil.which("npm")
    with tempfile.TemporaryDirectory() as folder:
        if npm:
            subprocess.run([npm, "pack", AXE, "--silent"], cwd=folder, capture_output=True, timeout=120)
        archives = list(pathlib.Path(folder).glob("*.tgz"))
        if not archives:
            return f"skipped: {AXE} cannot be had from npm"
        shutil.unpack_archive(archives[0], folder, "gztar")
        axe = pathlib.Path(folder, "package", "axe.min.js").read_text()
        fragments = ["#/overview", "#/users", "#/sessions", "#/turns", "#/errors", "#/compare", "#/feedback", "#/turns?user=nobody",
                     "#/session/" + urllib.parse.quote(session, safe="")]  # fmt: skip
        run = f"""
            (async () => {{
              const found = [], root = document.documentElement, ready = () => new Promise(done => {{
                const wait = setInterval(() => {{ if (root.dataset.ready) {{ clearInterval(wait); setTimeout(done, 500); }} }}, 50);
              }});
              await ready();
              for (const fragment of {json.dumps(fragments)}) {{
                if (location.hash !== fragment) {{ delete root.dataset.ready; location.hash = fragment; }}
                await ready();
                const {{ passes, violations }} = await axe.run(document);
                found.push([fragment, passes.length > 20, violations.map(one => [one.id, one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))])]);
              }}
              document.title = "axe:" + JSON.stringify(found);
            }})();"""
        text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(), count=1)  # the policy would not let axe in
        for theme in ("light", "dark"):
            checked = pathlib.Path(folder, f"{theme}.html")
            dressed = text.replace('<html lang="en">', f'<html lang="en" data-theme="{theme}">', 1)
            scripts = "".join(f"<script>{one}</script>" for one in (axe.replace("</script", "<\\/script"), run))
            checked.write_text(dressed.replace("</body>", scripts + "</body>"))
            title = shown_title(checked, "#/overview")
            check(title.startswith("axe:"), f"axe did not end: {title}")
            found = json.loads(title.removeprefix("axe:"))
            check(found == [[fragment, True, []] for fragment in fragments], f"axe, {theme}: {[one for one in found if one[1:] != [True, []]]}")
    return "no findings of axe"


def shown_title(page: pathlib.Path, fragment: str) -> str:
    done = subprocess.run([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom", page.as_uri() + fragment],
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    return html.unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.S)[1])


def main() -> None:
    print(f"seed {SEED}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        traces = make_traces(12)
        page = report(folder, traces)
        evil_folder = folder / "evil"
        evil_folder.mkdir()
        same = {"user": EVIL, "session": EVIL, "segment": EVIL, "question": EVIL, "answer": EVIL, "fault": EVIL, "name": EVIL, "tool": EVIL,
                "more": {"mlflow.traceTag.tag": EVIL, "mlflow.traceTag.mlflow.traceName": EVIL, "mlflow.traceMetadata." + EVIL: EVIL, EVIL: EVIL}}  # fmt: skip
        evil = [trace | same | {"failed": nth % 2 == 0} for nth, trace in enumerate(traces[:20])]
        evil[0]["segment"] = "free"
        evil_page = report(evil_folder, evil)
        if sys.argv[2] == "file":
            check_data(page, traces)
            check_data(evil_page, evil)
            check_safety(page, evil_page)
            check_content(folder, traces)
            check_many_spans(folder)
            check_unexplained(folder)
            print(f"{checks} checks passed")
            return
        if not CHROMIUM:
            print(f"{checks} checks passed; skipped: there is no chromium, in which the page would be opened")
            return
        check_shown(page, traces)
        check_evil_shown(evil_page)
        check_many_shown(folder)
        check_compare_nothing(evil_folder, traces[:50])
        check_unexplained_shown(folder)
        check_odd_messages(folder)
        check_broken_block(page, next(iter(groups(traces, "session"))))
        check_long_session(page)
        axe = check_axe(page, next(iter(groups(traces, "session"))))
        print(f"{checks} checks passed; {axe}")


if __name__ == "__main__":
    main()
