# SPDX-License-Identifier: Apache-2.0
"""mlflow_sessions in the hands of an operator: "some users get no answer since a while". What is planted is found.

    mlflow_sessions_incident_test.py PROGRAM
"""

import collections
import json
import math
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import mlflow_sessions_test as base
from mlflow_sessions_test import check, on_terminal, run

NOW = int(time.time())
NOON = NOW - 2 * 3600  # when it began
SINCE = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOON))
CAUSE = "lookup_payment: timeout after 10 s: payments.internal:8443"
SEED = int(os.environ.get("MLFLOW_TRACE_SEED", random.SystemRandom().randrange(2**32)))


def attributes(values: dict) -> list:
    return [{"key": key, "value": {"stringValue": value if isinstance(value, str) else json.dumps(value)}} for key, value in values.items()]


def plan(rng: random.Random) -> list[dict]:
    """Turns, and what is wrong with some: a version asks a service for refunds that does not answer."""
    turns = []
    for number in range(400):
        user = f"user-{rng.randrange(1000, 1090)}" if rng.random() < 0.95 else None
        session = f"{rng.getrandbits(128):032x}"
        at = rng.uniform(NOW - 6 * 3600, NOW - 1200)
        version = "2.4.1" if at > NOON - 600 and rng.random() < 0.6 else "2.4.0"
        for _ in range(rng.choice([1, 2, 3, 5])):
            is_refund = rng.random() < 0.35
            is_hit = at > NOON and version == "2.4.1" and is_refund
            is_bad = not is_hit and rng.random() < 0.01
            duration = 10_000 + rng.randrange(99) if is_hit else round(rng.lognormvariate(6.5, 0.5))
            turns.append({"user": user, "session": session, "start": round(at * 1000), "duration": duration, "version": version,
                          "hit": is_hit, "failed": is_hit or is_bad, "cost": rng.randrange(64) / 1024, "number": len(turns),
                          "input": "How do I get my refund?" if is_refund else "Where is my bike?"})  # fmt: skip
            at += duration / 1000 + rng.expovariate(1 / 30)
    return turns


def line_of(turn: dict) -> str:
    def span(number: int, parent: int, name: str, more: dict, status: dict) -> dict:
        start, end = turn["start"] * 10**6, (turn["start"] + turn["duration"]) * 10**6
        said = {"traceId": f"{turn['number'] + 1:032x}", "spanId": f"{turn['number'] * 2 + number:016x}", "name": name,
                "startTimeUnixNano": str(start), "endTimeUnixNano": str(end), "status": status, "attributes": attributes(more)}  # fmt: skip
        return said | ({"parentSpanId": f"{turn['number'] * 2 + parent:016x}"} if parent else {})

    root = {"session.id": turn["session"], "mlflow.spanInputs": {"message": turn["input"]}, "mlflow.traceMetadata.app.version": turn["version"],
            "mlflow.traceMetadata.app.region": "eu" if turn["number"] % 2 else "us",
            "mlflow.traceTag.mlflow.traceName": "chat", "mlflow.llm.cost": {"total_cost": turn["cost"], "input_cost": 0, "output_cost": 0}}  # fmt: skip
    if turn["user"]:
        root["user.id"] = turn["user"]
    if not turn["failed"]:
        root["mlflow.spanOutputs"] = "At the station by the river."
    spans = [span(1, 0, "chat", root, {"code": 2 if turn["failed"] else 1})]
    if turn["hit"]:
        name, _, message = CAUSE.partition(": ")
        spans.append(span(2, 1, name, {"mlflow.spanType": "TOOL", "mlflow.spanInputs": {"id": turn["number"]}}, {"code": 2, "message": message}))
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n"


def rows(*arguments: str) -> list[dict]:
    done = run(*arguments, "--json")
    check(done.returncode == 0 and done.stderr == "", f"{arguments}: {done}")
    return json.loads(done.stdout)


def check_search(turns: list[dict], uri: list[str]) -> None:
    """From the complaint to the cause in the commands of the help."""
    hit = [turn for turn in turns if turn["hit"]]
    worst = rows("errors", *uri, "--since", SINCE)[0]
    check((worst["error"], worst["traces"], worst["before"]) == (CAUSE, len(hit), 0), f"errors: {worst}")
    check((worst["users"], worst["sessions"]) == (len({t["user"] for t in hit} - {None}), len({t["session"] for t in hit})), f"errors: {worst}")
    text = run("errors", *uri, "--since", SINCE, COLUMNS="80").stdout
    check(text.startswith(f"{len(hit)} traces") and "new" in text.split(CAUSE)[0] and CAUSE in text and worst["trace_id"] in text and worst["session"] in text, text)
    suspect = next(row for row in rows("compare", *uri, "--since", SINCE) if row["what"] == "failed")
    check((suspect["key"], suspect["value"]) == ("app.version", "2.4.1"), f"compare: {suspect}")
    check(suspect["rate_95"][0] > suspect["others_rate_95"][1], f"compare: {suspect}")
    of = rows("errors", "--of", "PAYMENTS.internal", *uri, "--since", SINCE)
    told = {(turn["user"], turn["session"], f"tr-{turn['number'] + 1:032x}") for turn in hit}
    check({(row["user"], row["session"], row["trace_id"]) for row in of} == told and len(of) == len(hit), f"errors --of: {len(of)}")

    late = [turn for turn in turns if turn["start"] >= NOON * 1000]
    failing = collections.Counter(turn["user"] for turn in late if turn["failed"] and turn["user"])
    found = {row["user"]: row["errors"] for row in rows("users", "--failed", *uri, "--since", SINCE)}
    check(found == dict(failing), "users --failed")
    sessions = {turn["session"] for turn in late if turn["failed"]}
    shown = rows("sessions", "--failed", *uri, "--since", SINCE)
    check({row["session"] for row in shown} == sessions, "sessions --failed")
    for row in shown:
        whole = [turn for turn in turns if turn["session"] == row["session"]]
        check(row["turns"] == len(whole) and row["errors"] == sum(t["failed"] for t in whole), f"a part of a session: {row}")
        check(math.isclose(row["cost"], sum(t["cost"] for t in whole)), f"cost: {row}")
        last = max(t["start"] for t in whole if t["failed"])
        check(row["last_error"] == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(last // 1000)) + f".{last % 1000:03}Z", f"last error: {row}")
    check_show(turns, uri, hit[0]["session"])


def check_show(turns: list[dict], uri: list[str], session: str) -> None:
    whole = sorted((turn for turn in turns if turn["session"] == session), key=lambda turn: turn["start"])
    for columns in (60, 100):
        text = run("show", session, *uri, COLUMNS=str(columns)).stdout
        parts = re.split(r"\n\n", text)[1:]
        check(len(parts) == len(whole), f"show: {text}")
        for number, (part, turn) in enumerate(zip(parts, whole), 1):
            head, rest = part.split("\n", 1)
            check(head.startswith(f"{number}  ") and ("FAILED" in head) == turn["failed"], part)
            check(turn["input"] in rest and f"tr-{turn['number'] + 1:032x}" in rest, part)
            check(("by the river" in rest) != turn["failed"], part)
            said = " ".join(rest.split())
            check(("timeout after 10 s: payments.internal:8443" in said) == turn["hit"], part)
    failed = run("show", session, "--failed", *uri).stdout
    numbers = [str(number) for number, turn in enumerate(whole, 1) if turn["failed"]]
    check(re.findall(r"^(\d+)  \d{4}-", failed, re.MULTILINE) == numbers, f"turns are numbered anew: {failed}")


def check_selection(turns: list[dict], uri: list[str]) -> None:
    every = rows("sessions", *uri)
    by_id = {row["session"]: row for row in every}
    conditions = {
        "turns >= 3": lambda r: r["turns"] >= 3, "errors = 0 AND turns = 1": lambda r: r["errors"] == 0 and r["turns"] == 1,
        "error_rate > 50%": lambda r: r["error_rate"] > 0.5, "p95 > 10s": lambda r: r["duration_ms"]["p95"] > 10_000,
        "cost > 0.1": lambda r: r["cost"] > 0.1, "users = 0": lambda r: r["users"] == [], "duration > 1m": lambda r: r["length_ms"] > 60_000,
        "idle < 3h": lambda r: r["idle_ms"] < 3 * 3_600_000, "first_input ILIKE '%REFUND%'": lambda r: "refund" in r["first_input"],
        "last_error >= 2000-01-01": lambda r: r["errors"] > 0, "user = 'user-1001'": lambda r: r["user"] == "user-1001",
    }  # fmt: skip
    for text, holds in conditions.items():
        found = [row["session"] for row in rows("sessions", *uri, "--having", text)]
        told = [row["session"] for row in every if holds(row)]
        if text.startswith("idle"):  # time passes between the two
            near = {row["session"] for row in every if abs(row["idle_ms"] - 3 * 3_600_000) < 300_000}
            found, told = ([session for session in all_of if session not in near] for all_of in (found, told))
        check(found == told and len(told) < len(every), f"--having {text}: {len(found)}, not {len(told)}")
    for name, value in (("cost", lambda r: r["cost"]), ("p95", lambda r: r["duration_ms"]["p95"]), ("errors", lambda r: r["errors"]), ("idle", lambda r: r["idle_ms"])):
        found = [value(by_id[row["session"]]) for row in rows("sessions", *uri, "--sort", name)]
        check(found == sorted(found, reverse=True), f"--sort {name}")
        top = [value(by_id[row["session"]]) for row in rows("sessions", *uri, "--top", name)]
        check(top == found[:10], f"--top {name}")
        found = [value(by_id[row["session"]]) for row in rows("sessions", *uri, "--sort", f"{name}:asc", "--limit", "7")]
        check(len(found) == 7 and found == sorted(found), f"--sort {name}:asc")
        table = run("sessions", *uri, "--top", name, "--limit", "3", COLUMNS="80").stdout
        check({"cost": "cost $", "p95": "p95 ms", "errors": "errors", "idle": "idle"}[name] in table.splitlines()[0], f"--top {name} without it: {table}")
    until = NOW - 3 * 3600
    told = {turn["user"] for turn in turns if turn["start"] < until * 1000} - {None}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
    check({row["user"] for row in rows("users", *uri, "--until", stamp)} == told, "--until")


def check_comparison(turns: list[dict], uri: list[str]) -> None:
    for row in rows("compare", "--by", "app.version", *uri):
        durations = sorted(turn["duration"] for turn in turns if turn["version"] == row["value"])
        n, errors = len(durations), sum(t["failed"] for t in turns if t["version"] == row["value"])
        z, rate = 1.959963984540054, errors / n
        middle, half = rate + z * z / 2 / n, z * math.sqrt(rate * (1 - rate) / n + z * z / 4 / n / n)
        wilson = [(middle + sign * half) / (1 + z * z / n) for sign in (-1, 1)]
        check(all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(row["error_rate_95"], wilson)), f"{row['value']}: {row['error_rate_95']}, not {wilson}")
        for percent in (50, 95):
            low, high = row["duration_ms_95"][f"p{percent}"]
            below = range(sum(d < low for d in durations) + 1, sum(d <= high for d in durations))
            chance = sum(math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(percent / 100)
                                  + (n - k) * math.log1p(-percent / 100)) for k in below)  # fmt: skip
            check(0.9499 <= chance, f"{row['value']}: the interval of p{percent} holds {chance}")
            check(low in durations and high in durations and low <= row["duration_ms"][f"p{percent}"] <= high, f"{row}")
        check(("errors ▲" in row["differs"]) == (row["value"] == "2.4.1"), f"differs: {row}")
    periods = rows("compare", "--by", "name", "--since", SINCE, "--before", "3h", *uri)
    check([row["period"] for row in periods] == ["now", "before"] and "errors ▲" in periods[0]["differs"], f"--before: {periods}")
    late = [turn for turn in turns if turn["start"] >= NOON * 1000]
    check(periods[0]["interactions"] == len(late), f"--before: {periods[0]['interactions']}, not {len(late)}")
    early = [turn for turn in turns if (NOON - 3 * 3600) * 1000 <= turn["start"] < (NOW - 3 * 3600) * 1000]
    check(periods[1]["interactions"] >= len(early), f"--before: {periods[1]['interactions']}, not {len(early)}")
    refused = run("compare", "--by", "name", "--before", "1h", "--since", "2h", *uri)
    check(refused.returncode != 0 and "do not overlap" in refused.stderr, f"{refused}")
    check(run("compare", "--by", "tag.mlflow.traceName", *uri).returncode == 0, "by a tag")
    check(rows("compare", "--by", "user", *uri)[0]["value"].startswith("user-"), "by user")


def check_wrong_names(uri: list[str]) -> None:
    for command, says in ((["show", "none"], "no trace of the session none; existing names: "), (["users", "--user", "user-9"], "existing names: user-"),
                          (["compare", "--by", "app.versoin"], "app.version"), (["sessions", "--session", "s"], "no trace of the session s"),
                          (["users", "--columns", "user,nothing"], "columns: user, "), (["errors", "--user", "nobody"], "no trace of the user nobody")):  # fmt: skip
        for more in ([], ["--json"]):
            if "--columns" in command and more:
                continue
            done = run(*command, *more, *uri)
            check(done.returncode == 1 and says in done.stderr and done.stdout == "", f"{command}: {done}")
    for command in (["users", "--having", "turn > 1"], ["users", "--sort", "price"], ["sessions", "--top", "cost", "--sort", "cost"], ["watch", "--once", "--max-p95", "soon"]):
        done = run(*command, *uri)
        check(done.returncode != 0 and done.stderr != "" and done.stdout == "", f"{command}: {done}")
    done = run("users", "--since", "1s", *uri)
    check(done.returncode == 0 and "the newest is from " in done.stdout, f"{done}")
    done = run("feedback", *uri)
    check(done.returncode == 0 and "no feedback" in done.stdout, f"{done}")


def check_watch(turns: list[dict], uri: list[str]) -> None:
    within = ["--max-error-rate", "99%", "--max-p95", "1m", "--max-anonymous", "1000", "--max-cost-per-user", "9"]
    window = ["watch", "--since", SINCE, *uri]
    check(run(*window, "--once", *within).returncode == 0, "watch within its limits")
    for index in range(0, len(within), 2):
        limit = ["--max-error-rate", "1%", "--max-p95", "9s", "--max-anonymous", "0", "--max-cost-per-user", "0.001"][index : index + 2]
        done = run(*window, "--once", *limit)
        check(done.returncode == 2 and done.stdout.count("EXCEEDED") == 1, f"{limit}: {done}")
        seen = json.loads(run(*window, "--once", "--json", *limit).stdout)
        check(seen["exceeded"] == [limit[0].removeprefix("--")], f"{limit}: {seen}")
    late = [turn for turn in turns if turn["start"] >= NOON * 1000]
    anonymous = {t["session"] for t in late} - {t["session"] for t in late if t["user"]}
    check(seen["traces"] == len(late) and seen["sessions_without_user"] == len(anonymous), f"{seen}")
    check(run("watch", "--once", "--since", "1s", "--min-traces", "1", *uri).returncode == 2, "silence is no success")
    begun = time.monotonic()
    check(run(*window, "--for", "1s", "--every", "300ms", *within).returncode == 0, "a gate that is passed")
    check(time.monotonic() - begun >= 1, "a gate that does not look for so long")
    begun = time.monotonic()
    check(run(*window, "--for", "90s", "--max-p95", "9s").returncode == 2 and time.monotonic() - begun < 60, "a gate that is not passed")
    code, seen, _ = on_terminal(*window, "--for", "1s", "--every", "300ms", columns=80)
    check(code == 0 and "\x1b[H\x1b[2J" in seen and "traces…" not in seen, f"not drawn anew: {seen[:300]!r}")
    gone = ["--tracking-uri", "http://127.0.0.1:9"]
    check(run("watch", "--once", *gone).returncode == 1 and run("watch", "--for", "1s", "--every", "1s", *gone).returncode == 1, "no server")


def check_links() -> None:
    """On a terminal that takes them, IDs lead to MLflow's pages; nowhere else is there a trace of that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=base.serve, args=(listener, base.http(base.page("")), False), daemon=True).start()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for terminal, has_links in (("xterm-256color", True), ("dumb", False), ("linux", False)):
            text = on_terminal("sessions", "--tracking-uri", uri, "--connections", "1", columns=100, TERM=terminal)[1]
            address = f"\x1b]8;;{uri}/#/experiments/1/chat-sessions/session-1\x1b\\session-1\x1b]8;;\x1b\\"
            check((address in text) == has_links and ("\x1b]8" in text) == has_links, f"{terminal}: {text!r}")
        text = on_terminal("show", "session-1", "--tracking-uri", uri, "--connections", "1", columns=100, TERM="xterm")[1]
        check(f"{uri}/#/experiments/1/traces?selectedEvaluationId=tr-1\x1b\\" in text, f"{text!r}")
        check("\x1b" not in run("sessions", "--tracking-uri", uri, "--connections", "1", TERM="xterm").stdout, "links in a pipe")


def check_generated(folder: str) -> None:
    shown = run("--help").stdout
    commands = re.findall(r"^  ([a-z]+) {2,}", shown[shown.index("Subcommands:") :], re.MULTILINE)
    check({"users", "sessions", "show", "errors", "compare", "watch"} <= set(commands), f"{commands}")
    for question in re.findall(r"(mlflow_sessions [a-z]+ .*)", shown[shown.index("Questions") :]):
        check(question.split()[1] in commands, f"no such command: {question}")
    options = {option for command in [[], *([c] for c in commands)] for option in re.findall(r"--[a-z0-9-]+", run(*command, "--help").stdout.split("Questions")[0])}
    generated = {what: run("--generate", what).stdout for what in ("man", "bash", "zsh")}
    for what, text in generated.items():
        plain = text.replace("\\-", "-")
        check(all(each in plain for each in options | set(commands)), f"{what} lacks {[o for o in options | set(commands) if o not in plain]}")
    path = pathlib.Path(folder, "completion")
    path.write_text(generated["bash"])
    if bash := shutil.which("bash"):
        for typed, told in ((["us"], {"users"}), (["watch", "--max-p"], {"--max-p95"}), (["export", "--for"], {"--format"}), (["export", "--format", "j"], {"jsonl"})):
            words = " ".join(["mlflow_sessions", *typed])
            script = f"source {path}; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _mlflow_sessions; echo ${{COMPREPLY[@]}}"
            found = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=False)
            check(set(found.stdout.split()) == told and found.stderr == "", f"{typed}: {found}")
    if groff := shutil.which("groff"):
        told = subprocess.run([groff, "-man", "-ww", "-Tutf8"], input=generated["man"], capture_output=True, text=True, check=False)
        check(told.returncode == 0 and told.stderr == "" and "--max-error-rate" in re.sub("\x1b.*?m|.\x08", "", told.stdout).replace("‐", "-"), f"groff: {told.stderr}")


def main() -> None:
    print(f"seed {SEED}", flush=True)
    turns = plan(random.Random(SEED))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "traces.jsonl")
        path.write_text("".join(map(line_of, turns)), encoding="utf-8")
        uri = ["--tracking-uri", str(path)]
        check_search(turns, uri)
        check_selection(turns, uri)
        check_comparison(turns, uri)
        check_wrong_names(uri)
        check_watch(turns, uri)
        check_links()
        check_generated(folder)
    print(f"{base.checks} checks passed")


if __name__ == "__main__":
    main()
