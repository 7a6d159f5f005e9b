# SPDX-License-Identifier: Apache-2.0
"""mlflow_sessions as a person sees it: tables on a terminal and in a pipe, and what it says of a server that breaks.

    mlflow_sessions_test.py PROGRAM
"""

import base64
import csv
import difflib
import gzip
import json
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unicodedata
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from terminal import Terminal

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
USERS = 603
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
NAMES = {1: "利用者" * 60, 2: "x" * 250, 3: "red \x1b[31m and \x07 bell", 4: "e\u0301" * 100, 5: "\U0001f600" * 90}
checks = 0


def check(good: bool, what: str) -> None:
    global checks
    checks += 1
    if not good:
        sys.exit(what)


def line(number: int) -> str:
    """One trace of OTLP/JSON: of a user of its own, in one of 40 sessions."""
    attributes = {
        "user.id": NAMES.get(number, f"user-{number}"),
        "session.id": f"session-{number % 40}",
        "mlflow.spanInputs": json.dumps({"message": "Wo ist mein Fahrrad? " * 20}),
    }
    span = {
        "traceId": f"{number + 1:032x}",
        "spanId": f"{number + 1:016x}",
        "name": "chat",
        "startTimeUnixNano": str(1_790_000_000_000_000_000 + number * 10**9),
        "endTimeUnixNano": str(1_790_000_000_500_000_000 + number * 10**9),
        "status": {"code": 2 if number % 10 == 0 else 1},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}) + "\n"


def width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def environment(**more: str) -> dict[str, str]:
    left_out = ("COLUMNS", "NO_COLOR", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")
    return {key: value for key, value in os.environ.items() if key not in left_out} | {"TERM": "dumb"} | more


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, env=environment(**variables), timeout=120)


def on_terminal(*arguments: str, columns: int, file: str = "stdout", **variables: str) -> tuple[int, str, str]:
    """Exit code, what the terminal got, and what the pipe in place of the other output got."""
    with Terminal(columns) as terminal:
        outputs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, file: terminal.output}
        done = subprocess.run([PROGRAM, *arguments], env=environment(**variables), timeout=120, **outputs)
    return done.returncode, terminal.text, ((done.stdout or b"") + (done.stderr or b"")).decode()


def difference(expected: str, actual: str) -> str:
    return "\n".join(difflib.unified_diff(expected.splitlines(), actual.splitlines(), lineterm=""))


def displayed(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)


def check_width(text: str, columns: int, what: str, names: tuple = tuple(NAMES.values())) -> None:
    """Only an ID, which is never cut, may be wider than the terminal; it has a line of its own then."""
    for each in text.splitlines():
        told = each.removeprefix("user    ").removeprefix("users ").strip()
        is_id = told.startswith(tuple(displayed(name).strip() for name in names)) or re.fullmatch("tr-[0-9a-f]{32}", told)
        check(width(each) <= columns or bool(is_id), f"{what}: {width(each)} columns: {each}")


def check_tables(file: str) -> None:
    commands = [["users"], ["sessions"], ["show", "session-1"], ["compare", "--by", "mlflow.trace.session"], ["feedback"]]
    for command in commands:
        arguments = [*command, "--tracking-uri", file]
        for columns in (30, 80, 400):
            for place in ("pipe", "terminal"):
                if place == "pipe":
                    done = run(*arguments, COLUMNS=str(columns))
                    code, text = done.returncode, done.stdout
                    check("\x1b" not in text, f"{command}: escape sequences in a pipe")
                else:
                    code, text, _ = on_terminal(*arguments, columns=columns)
                    check(("\x1b[1m" in text) == (command != ["feedback"]), f"{command}: no colours on a terminal")
                    plain = on_terminal(*arguments, columns=columns, NO_COLOR="1")[1]
                    check("\x1b" not in plain, f"{command}: colours in spite of NO_COLOR")
                    text = ESCAPE.sub("", text)
                    check(text == plain, f"{command}: the colours change the text\n{difference(plain, text)}")
                check(code == 0, f"{command}: exit code {code}")
                check(not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text), f"{command}: a user's control characters")
                check_width(text, columns, f"{command} on a {place} of {columns}")
                for time in re.findall(r"\d{4}-\d\d-\S*", text):
                    check(len(time) == 20 and time.endswith("Z"), f"{command}: {time} is no whole time")
                for part in re.findall(r"(?:user|session|tr)-\S*…", text):
                    check(place == "none", f"{command}: {part} is cut")
        check(run(*arguments).stdout != "", f"{command}: nothing without a width")
    table = run("users", "--tracking-uri", file, COLUMNS="100").stdout.splitlines()
    check(len(table) == USERS + 1 + 4, f"{len(table)} lines for {USERS} users, four of whom have long names")
    coloured = on_terminal("show", "session-0", "--tracking-uri", file, columns=120)[1]
    check("\x1b[31mFAILED" in coloured, "errors are not red")


def check_json(file: str) -> None:
    for command, count in ((["users"], USERS), (["sessions"], 40), (["export"], USERS), (["show", "session-1"], 16), (["feedback"], 0)):
        arguments = [*command, "--json", "--tracking-uri", file]
        for text in (run(*arguments, COLUMNS="40").stdout, on_terminal(*arguments, columns=40)[1]):
            check("\x1b" not in text, f"{command} --json: escape sequences")
            check(len(json.loads(text)) == count, f"{command} --json: not {count} rows")
    names = {row["user"] for row in json.loads(run("users", "--json", "--tracking-uri", file).stdout)}
    check("利用者" * 60 in names and "red \x1b[31m and \x07 bell" not in run("users", "--tracking-uri", file).stdout, "names")


def check_progress(file: str) -> None:
    code, seen, rows = on_terminal("users", "--json", "--tracking-uri", file, columns=80, file="stderr")
    check(code == 0 and "500 traces" in seen and seen.endswith("\r\x1b[K"), f"progress on a terminal: {seen!r}")
    check(len(json.loads(rows)) == USERS, "progress in the output")
    check(run("users", "--tracking-uri", file).stderr == "", "progress in a pipe")


def check_arguments(file: str) -> None:
    refused = {
        "empty": (["users", "--user", ""], ["users", "--session", ""], ["users", "--since", ""], ["users", "--filter", ""],
                  ["users", "--experiment", ""], ["users", "--tracking-uri", ""], ["compare", "--by", ""], ["export", "--output", ""],
                  ["show", ""]),
        "at most 250": (["users", "--user", "x" * 251], ["show", "x" * 251]),
        "control character": (["users", "--user", "a\nb"], ["show", "a\rb"]),
        "must be a time such as": [["users", "--since", text] for text in ("yesterday", "-5d", "1.5h", "7w", "2026-02-30", "1790000000000",
                                    "2026-11-23T25:00:00Z", "2026-11-23T12:00:00+99:99")],
        "neither a server": [["users", "--tracking-uri", uri] for uri in ("127.0.0.1:5000", "databricks", "sqlite:///m.db", "/", "none.jsonl")],
        "filter": [["users", "--filter", text] for text in ("trace.status = OK", "a OR b", "metadata.`a` IN ('b')", "(", "name = 'a'; DROP TABLE b")],
        "http://host:port": (["users", "--tracking-uri", "http://"], ["users", "--tracking-uri", "http://a:99999"]),
        "is required": (["show"],),
        "--by": [["compare", "--before", "7d"]],
    }  # fmt: skip
    for says, commands in refused.items():
        for command in commands:
            done = run(*command, *([] if "--tracking-uri" in command else ["--tracking-uri", file]))
            check(done.returncode != 0 and says in done.stderr and done.stdout == "", f"{command}: {done}")
    for since, users in (("0001-01-01", USERS), ("1969-12-31", USERS), ("9999-12-31T23:59:59Z", 0), ("999999d", USERS),
                         ("2026-09-21T14:16:40Z", USERS - 200), ("2026-09-21T17:16:40.000+03:00", USERS - 200)):  # fmt: skip
        done = run("users", "--json", "--since", since, "--tracking-uri", file)
        check(done.returncode == 0 and len(json.loads(done.stdout)) == users, f"--since {since}: {done.stdout[-200:]}")


def check_commands() -> None:
    """A command that is missing or misspelt: the error lists the commands. A server that is away is named as MLflow."""
    for arguments, code, said in (
        ([], 106, "No command was given. The commands are: users, sessions, show, "),
        (["--json"], 106, "The commands are: users, "),
        (["user"], 109, "The commands are: users, "),
        (["dataset"], 106, "No command was given. The commands of dataset are: create, list, fill, show"),
        (["dataset", "creat"], 109, "The commands of dataset are: create, "),
    ):
        done = run(*arguments)
        check(done.returncode == code and said in done.stderr and "--help" in done.stderr, f"{arguments}: {done}")
    extra = run("users", "bogus")
    check(extra.returncode == 109 and "bogus" in extra.stderr and "The commands" not in extra.stderr, f"an argument too many: {extra}")
    away = run("users", "--tracking-uri", "http://127.0.0.1:9/mlflow")
    said = "no response from the MLflow server http://127.0.0.1:9/mlflow: connect to 127.0.0.1:9: "
    check(away.returncode == 1 and said in away.stderr, f"a server that is away: {away}")


def check_numbers(folder: pathlib.Path) -> None:
    """One of something is in the singular."""
    file = folder / "one.jsonl"
    file.write_text(line(0) + "no JSON\n")
    done = run("errors", "--tracking-uri", str(file))
    check("1 trace, 1 user, 1 session," in done.stdout and "1 damaged line was skipped and is not counted" in done.stderr, f"one: {done}")
    file.write_text(line(0) + line(10) + "no JSON\n" * 2)
    done = run("errors", "--tracking-uri", str(file))
    check("2 traces, 2 users, 2 sessions," in done.stdout and "2 damaged lines were skipped and are not counted" in done.stderr, f"two: {done}")


# Options of all commands, with a value, and on which commands they have no effect.
VALUES = {"--user": "a", "--session": "s", "--since": "2h", "--until": "1h", "--filter": "trace.status = 'OK'", "--limit": "3",
          "--columns": "user", "--experiment": "e", "--connections": "2", "--tracking-uri": "http://127.0.0.1:9"}  # fmt: skip
SEARCH = {"--user", "--session", "--since", "--until", "--filter"}
FORGET = (SEARCH - {"--user"}) | {"--limit", "--columns", "--experiment"}
WITHOUT_EFFECT = {
    ("show", "s"): {"--session"},
    ("show", "s", "--stack", "--json"): {"--stack", "--session", "--columns"},
    ("show", "s", "--stack", "--columns", "turn"): {"--stack", "--session"},
    ("users", "--json"): {"--columns"},
    ("sessions", "--json"): {"--columns"},
    ("watch", "--once"): {"--limit", "--columns"},
    ("watch", "--once", "--every", "5s"): {"--every", "--limit", "--columns"},
    ("export",): {"--columns"},
    ("export", "--json"): {"--columns"},
    ("export", "--json", "--output", "/dev/null"): {"--output", "--columns"},
    ("export", "--json", "--format", "csv"): {"--format", "--columns"},
    ("export", "--json", "--exact"): {"--exact", "--columns"},
    ("export", "--exact", "--format", "jsonl"): {"--exact", "--columns"},
    ("report", "--output", "/dev/null"): {"--limit", "--columns"},
    ("report", "--output", "/dev/null", "--json"): {"--json", "--limit", "--columns"},
    ("dataset", "create", "a"): SEARCH | {"--limit"},
    ("dataset", "list"): SEARCH,
    ("dataset", "show", "a"): SEARCH,
    ("dataset", "fill", "a", "--trace", "tr-1"): SEARCH | {"--limit"},
    ("dataset", "fill", "a", "--trace", "tr-1", "--per", "session"): SEARCH | {"--limit"},
    ("dataset", "fill", "a", "--since", "3h"): set(),
    ("forget", "--user", "a"): FORGET,
    ("forget", "--user", "a", "--no-server", "--spool", "/tmp"): FORGET | {"--tracking-uri", "--connections"},
    ("forget", "--user", "a", "--no-server", "--spool", "/tmp", "--spans"): FORGET | {"--spans", "--tracking-uri", "--connections"},
}
OF_FILES = {"--experiment", "--connections"}


def check_options_without_effect(file: str) -> None:
    """An option that has no effect is an error that names it, wherever it stands and before anything is requested; one from the environment is none."""
    choose = random.Random(2026)
    nowhere = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:10"}
    for command, unused in WITHOUT_EFFECT.items():
        for option, value in VALUES.items():
            if option in command or (option == "--tracking-uri" and option not in unused):
                continue
            told = choose.choice([[option, value], [f"{option}={value}"]])
            done = run(*choose.choice([[*told, *command], [*command, *told]]), **nowhere)
            named = re.search(r"^(--[a-z-]+): has no effect", done.stderr)
            if option in unused:
                check(done.returncode != 0 and not done.stdout and named is not None, f"{command} {told}: {done}")
                check(named is not None and named[1] in unused, f"{command} {told} names another option: {done}")
            elif not unused & set(command):
                check(named is None, f"{command} {told} is without effect: {done}")
        for option in unused & set(command):  # one that the command has itself
            done = run(*command, **nowhere)
            check(done.returncode != 0 and f"{option}: has no effect" in done.stderr, f"{command}: {done}")
    for command in (["users"], ["sessions"], ["show", "session-1"], ["errors"], ["compare"], ["watch", "--once"], ["export"]):
        check(run(*command, "--tracking-uri", file, MLFLOW_EXPERIMENT_NAME="e").returncode == 0, f"{command}: the environment")
        for option in OF_FILES:
            done = run(option, VALUES[option], *command, "--tracking-uri", file)
            check(f"{option}: has no effect on a trace file" in done.stderr and not done.stdout, f"{command} {option}: {done}")
    done = run("forget", "--user", "a", "--spans", "--tracking-uri", file)
    check("--spans: has no effect on a trace file" in done.stderr, f"forget --spans of a file: {done}")
    done = run("forget", "--user", "a", MLFLOW_EXPERIMENT_NAME="e", **nowhere)
    check("has no effect" not in done.stderr and "nothing was deleted" in done.stderr, f"forget: the environment: {done}")
    for since, until in (("1h", "1h"), ("1h", "2h"), ("2026-11-23", "2026-11-23"), ("2026-11-23T00:00:01Z", "2026-11-23")):
        done = run("users", "--since", since, "--until", until, "--tracking-uri", file)
        check(done.returncode != 0 and "--until: is not after --since" in done.stderr, f"{since} to {until}: {done}")
    check(len(run("export", "--limit", "3", "--tracking-uri", file).stdout.splitlines()) == 4, "export --limit")
    check(len(run("export", "--limit", "3", "--format", "jsonl", "--tracking-uri", file).stdout.splitlines()) == 3, "export --limit")
    page = run("report", "--until", "2026-09-21T14:20:00Z", "--tracking-uri", file, "--output", "/dev/stdout").stdout
    check("--until 2026-09-21T14:20:00Z" in page, "a report names its filter --until")


def check_forget_arguments(folder: str) -> None:
    """A user as JSON, and any ID in files: each as Python's and other writers escape it."""
    path = pathlib.Path(folder, "forget.jsonl")
    for text in ("a", '"a', '"a" "b"', "1", "null", "[]", r'"\ud800"', r'"\x"', '"', '""'):
        done = run("forget", "--user-json", text, "--no-server", "--spool", folder)
        check(done.returncode != 0 and "--user-json" in done.stderr and not done.stdout, f"--user-json {text}: {done}")
    both = run("forget", "--user-json", '"a"', "--user", "a", "--no-server", "--spool", folder)
    check(both.returncode != 0 and "excludes" in both.stderr, f"both: {both}")
    choose = random.Random(2026)
    for number in range(60):
        user = "".join(choose.choice("ab1 '`%\x00\x01\t\n\r\x1b\x85{}") for _ in range(choose.randrange(1, 9)))
        keys = [{"key": "user.id", "value": {"stringValue": name}} for name in (user, user + "x")]
        spans = [{"traceId": f"{nth + 1:032x}", "spanId": "1" * 16, "name": "chat", "attributes": [key]} for nth, key in enumerate(keys)]
        lines = [json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}) + "\n" for span in spans]
        path.write_text("".join(lines), encoding="utf-8")
        link = pathlib.Path(folder, "link.jsonl")
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        where = ["--no-server", "--file", str(path), "--file", str(link), "--file", str(path)]
        listed = run("forget", "--user-json", json.dumps(user), *where)
        check(listed.returncode == 0 and not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", listed.stdout), f"{user!r}: {listed}")
        done = run("--json", "forget", "--yes", "--user-json", json.dumps(user), *where)
        receipt = json.loads(done.stdout or "{}")
        check(receipt.get("user") == user and receipt.get("complete"), f"{user!r}: {done}")
        counts = [(row["what"], row["found"], row["deleted"]) for row in receipt["places"]]
        check(counts == [("traces", 1, 1), ("spans of these", 1, 1)], f"{user!r}: each file counts once: {counts}")
        check(path.read_text(encoding="utf-8") == lines[1], f"{user!r}: what is left of the file")
        again = run("forget", "--yes", "--user-json", json.dumps(user), *where)
        shown = user if re.fullmatch(r"[\x20-\x7e]*", user) else json.dumps(user)
        check(f"nothing found of {shown}\n" in again.stdout and "there was nothing to delete" in again.stdout, f"{user!r}: {again}")


def check_forget_in_files(folder: str) -> None:
    """Other hard links are named; files in other forms, and traces of others in damaged lines, are named too."""
    path, second, third = (pathlib.Path(folder, f"links{number}.jsonl") for number in (1, 2, 3))
    spans = {name: {"traceId": f"{nth + 1:032x}", "spanId": "1" * 16, "attributes": [{"key": "user.id", "value": {"stringValue": name}}]} for nth, name in enumerate(("anna", "bob"))}
    documents = {name: {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]} for name, span in spans.items()}
    both = "".join(json.dumps(one) + "\n" for one in documents.values())
    bob = json.dumps(documents["bob"]) + "\n"

    def forget(*paths: pathlib.Path, sure: bool = True) -> tuple[int, dict]:
        named = [word for one in paths for word in ("--file", str(one))]
        done = run("--json", "forget", "--user", "anna", "--no-server", *["--yes"] * sure, *named)
        return done.returncode, json.loads(done.stdout)

    path.write_text(both)
    second.hardlink_to(path)
    third.hardlink_to(path)
    for sure in (False, True):
        code, receipt = forget(path, second, sure=sure)
        named = [one for one in receipt["beyond_reach"] if "hard link" in one]
        check(code == 0 and len(named) == 2, f"hard links: {receipt}")
        check(named[0].startswith(f"1 other hard link to {path}"), f"hard links: {named}")
    check((path.read_text(), second.read_text(), third.read_text()) == (bob, bob, both), "each link that is given is changed")
    code, receipt = forget(third)
    check(code == 0 and third.read_text() == bob and "hard link" not in str(receipt["beyond_reach"]), f"the last link: {receipt}")

    pretty = bob + json.dumps(documents["anna"], indent=2)
    path.write_text(pretty)
    code, receipt = forget(path)
    check(code == 1 and path.read_text() == pretty and not receipt["complete"], f"a document of several lines: {receipt}")
    check(len(receipt["faults"]) == 1 and f"{path}: line 2 begins" in receipt["faults"][0], f"a document of several lines: {receipt}")
    path.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [*spans.values()]}]}]})[:-3] + "\n" + bob)
    code, receipt = forget(path)
    check(code == 0 and path.read_text() == bob and f"tr-{2:032x}" in str(receipt["notes"]), f"a damaged line: {receipt}")


def check_closed_files(file: str) -> None:
    """A closed standard file is not taken by the next file that is opened."""
    for command in ("users", "--json sessions", "export", "forget --user a --no-server --file "):
        where = f"'{file}'" if "forget" in command else f"--tracking-uri '{file}'"
        for closed in (">&-", "2>&- >&-", "<&- >&- 2>&-"):
            done = subprocess.run(f"'{PROGRAM}' {command} {where} {closed}", shell=True, capture_output=True, text=True)
            check(done.returncode == 1 and not done.stdout, f"{command} {closed}: {done}")
        done = subprocess.run(f"'{PROGRAM}' {command} {where} 2>&-", shell=True, capture_output=True, text=True)
        check(done.returncode == 0 and done.stdout != "", f"{command} without standard error: {done}")


def http(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode()


def page(token: str) -> str:
    def trace(number: int) -> dict:
        metadata = {"mlflow.trace.user": f"user-{number}", "mlflow.trace.session": "session-1", "app.segment": "pro"}
        time = f"2026-11-23T04:03:{50 - number}Z"
        said = [{"assessment_name": "helpful", "feedback": {"value": True}, "valid": True}]
        return {"trace_id": f"tr-{number}", "request_time": time, "trace_metadata": metadata, "assessments": said}

    return json.dumps({"traces": [trace(1), trace(2)], "next_page_token": token})


SECOND_PAGES = {
    "closed": b"",
    "truncated": http(page(""))[:-30],
    "reset": b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{",
    "malformed": http('{"traces": [{"trace_id": '),
    "not JSON": http("<html>"),
    "loop": http(page("second")),
}


def serve(listener: socket.socket, second: bytes, reset: bool) -> None:
    def answer(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while True:
                size, first = 0, stream.readline()
                while (header := stream.readline()) not in (b"\r\n", b""):
                    if header.lower().startswith(b"content-length:"):
                        size = int(header.split(b":")[1])
                body = stream.read(size)
                if not first:
                    return
                if b"/experiments/get-by-name" in first:
                    connection.sendall(http('{"experiment": {"experiment_id": "1", "name": "chat"}}'))
                elif b"page_token" in body or b"timestamp_ms" in body:
                    connection.sendall(second)
                    if reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                else:
                    connection.sendall(http(page("second")))

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def check_broken_servers(folder: str) -> None:
    commands = (["users"], ["users", "--json"], ["sessions"], ["show", "session-1"], ["compare", "--by", "app.segment"],
                ["feedback"], ["export", "--json"], ["export"])  # fmt: skip
    for name, second in SECOND_PAGES.items():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=serve, args=(listener, second, name == "reset"), daemon=True).start()
            server = ["--tracking-uri", f"http://127.0.0.1:{listener.getsockname()[1]}"]
            for connections in ("1", "4"):
                for command in commands:
                    done = run(*command, *server, "--connections", connections)
                    what = f"{name}: {command} with {connections} connections: {done}"
                    check(done.returncode == 1 and done.stderr.startswith("mlflow_sessions: ") and "127.0.0.1" in done.stderr, what)
                    check(done.stderr.count("\n") == 1, what)
                    check(done.stdout == "" or command == ["export"] and "the output is incomplete" in done.stderr, what)
                kept = pathlib.Path(folder, "kept.csv")
                kept.write_text("of yesterday\n")
                done = run("export", "--output", str(kept), *server, "--connections", connections)
                check(done.returncode == 1 and done.stderr != "", f"{name}: export to a file")
                check(kept.read_text() == "of yesterday\n", f"{name}: a part in the place of the whole")
                check(list(pathlib.Path(folder).glob("*.part")) == [], f"{name}: a part is left behind")
            listener.shutdown(socket.SHUT_RDWR)


HIDDEN_AS_SHOWN = {ord(c): " " for c in "\x1b\x07\x9b"} | {ord(c): "\ufffd" for c in "\u202e\u2066\u200b\U000e0041"}
HIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


def check_hostile_names() -> None:
    """What visitors chose, names of feedback too, reaches no terminal, and takes no other column's place."""
    evil = "\x1b[31m\x07\x9b2J\u202eexe\u2066\u200b\U000e0041"
    names = [evil, "errors", "mean", "user", "error_rate", "", "feedback.errors", *(f"n{i}" for i in range(300))]

    def trace(number: int) -> dict:
        metadata = {"mlflow.trace.user": evil, "mlflow.trace.session": "s", "app.segment": f"seg{number}"}
        said = [{"assessment_name": name, "feedback": {"value": evil if name == evil else 0.25}, "rationale": evil, "valid": True,
                 "source": {"source_type": "HUMAN", "source_id": evil}} for name in (names if number else ["late"])]
        return {"trace_id": f"tr-{number}", "request_time": f"2026-11-23T04:03:4{number}Z", "trace_metadata": metadata,
                "request_preview": evil, "assessments": said, "tags": {evil: evil}, "state": "ERROR"}

    def answer(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while (first := stream.readline()):
                size = 0
                while (header := stream.readline()) not in (b"\r\n", b""):
                    if header.lower().startswith(b"content-length:"):
                        size = int(header.split(b":")[1])
                stream.read(size)
                if b"get-by-name" in first:
                    connection.sendall(http('{"experiment": {"experiment_id": "1", "name": "chat"}}'))
                elif b"search" in first:
                    connection.sendall(http(json.dumps({"traces": [trace(0), trace(1)]})))
                else:
                    connection.sendall(http(json.dumps({"error_code": "X", "message": evil})).replace(b"200 OK", b"400 Bad", 1))

    def serve_all(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_all, args=(listener,), daemon=True).start()
        server = ["--tracking-uri", f"http://127.0.0.1:{listener.getsockname()[1]}", "--connections", "1"]
        commands = (["users"], ["sessions"], ["show", "s"], ["compare", "--by", "app.segment"], ["feedback"], ["export"])
        for command in commands:
            for extra in ([], ["--json"]):
                for columns in (20, 100, 2000):
                    code, text, errors = on_terminal(*command, *extra, *server, columns=columns, NO_COLOR="1")
                    is_complete = command[0] != "show" or bool(extra)  # this server gives no spans, which `show` prints
                    check((code == 0) == is_complete, f"{command} {extra}: exit code {code}: {errors}")
                    for shown in (text, errors):
                        check(not HIDDEN.search(shown), f"{command} {extra}: {HIDDEN.findall(shown)} in {shown[:2000]}")
                    if not extra and command != ["export"]:
                        check_width(text, columns, f"{command} on {columns} columns", (evil.translate(HIDDEN_AS_SHOWN),))
                if extra:
                    rows = json.loads(run(*command, *extra, *server).stdout)
                    check(command[0] not in ("users", "feedback", "export") or any(evil in row.values() for row in rows), f"{command}: values")
        for name, told in (("errors", "1"), ("feedback.errors", "0.25 of 1"), ("feedback.mean", "0.25 of 1"), ("late", "-"), ("n299", "0.25 of 1")):
            table = run("users", "--columns", f"user,{name}", *server, COLUMNS="9000").stdout.splitlines()
            told = {"errors": "2", "late": "0.25 of 1"}.get(name, told)
            check(len(table) == 2 and table[1].endswith(told), f"--columns {name}: {table}")


def check_export(file: str, folder: str) -> None:
    """Nothing is written through links of others; the file is for its owner, and no formula for its reader."""
    victim = pathlib.Path(folder, "victim")
    for name in ("traces.csv", "link.csv", "dangling.csv"):
        path = pathlib.Path(folder, name)
        victim.write_text("untouched")
        if name == "link.csv":
            path.symlink_to(victim)
        if name == "dangling.csv":
            path.symlink_to(pathlib.Path(folder, "nowhere"))
        for planted in (f"{name}.part", f"{name}.tmp"):
            pathlib.Path(folder, planted).symlink_to(victim)
        done = run("export", "--tracking-uri", file, "--output", str(path))
        check(done.returncode == 0 and path.read_text().count("\n") == USERS + 1, f"{done}")
        check(victim.read_text() == "untouched", f"{name}: written through a link")
        check(not pathlib.Path(folder, "nowhere").exists() and not path.is_symlink(), f"{name}: written through a link")
        check(path.stat().st_mode & 0o777 == 0o600, f"mode {path.stat().st_mode:o}")
        for planted in (f"{name}.part", f"{name}.tmp"):
            pathlib.Path(folder, planted).unlink()
    if os.geteuid() == 0:
        fifo = pathlib.Path(folder, "fifo.csv")
        os.mkfifo(fifo, 0o666)
        os.chown(fifo, 12345, 12345)
        done = run("export", "--tracking-uri", file, "--output", str(fifo))
        check(done.returncode == 1 and "another user" in done.stderr, f"a FIFO of another user: {done}")
    formulas = pathlib.Path(folder, "formulas.jsonl")
    formulas.write_text(line(7).replace("user-7", "=cmd|1") + line(8).replace("user-8", "@SUM(A1)"))
    for extra, expected in (([], ("'=cmd|1", "'@SUM(A1)")), (["--exact"], ("=cmd|1", "@SUM(A1)"))):
        cells = [row["user"] for row in csv.DictReader(run("export", *extra, "--tracking-uri", str(formulas)).stdout.splitlines())]
        check(tuple(sorted(cells)) == expected, f"{extra}: {cells}")


def rows_and_errors(path: pathlib.Path) -> tuple[int, int, str]:
    """Exit code, how many traces were exported, and what was said."""
    done = run("export", "--json", "--tracking-uri", str(path))
    return done.returncode, len(json.loads(done.stdout)) if done.stdout else -1, done.stderr


def check_files_of_others(folder: str) -> None:
    """What people have instead of OTLP JSON lines is read, or said in one line."""
    lines = [line(number).rstrip() for number in range(3)]
    text = "\n".join(lines)
    one = json.loads(lines[0])

    def zstd(data: bytes) -> bytes:  # a frame of one block, not compressed
        return b"\x28\xb5\x2f\xfd\x00\x58" + (len(data) << 3 | 1).to_bytes(3, "little") + data

    snake = text
    for camel in ("resourceSpans", "scopeSpans", "traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano", "stringValue"):
        snake = snake.replace(f'"{camel}"', '"' + re.sub("([A-Z])", lambda found: "_" + found[1].lower(), camel) + '"')
    with_base64 = text.replace(f"{1:032x}", "AAAAAAAAAAAAAAAAAAAAAQ==").replace(f"{1:016x}", "AAAAAAAAAAE=")
    read = {
        "lines.jsonl": text, "crlf.jsonl": text.replace("\n", "\r\n"), "bom.jsonl": "\ufeff" + text, "boms.jsonl": text.replace("{\"res", "\ufeff{\"res"),
        "list.json": f"[{','.join(lines)}]", "list-of-lines.json": "[\n" + ",\n".join(lines) + "\n]\n",
        "pretty.json": json.dumps([json.loads(each) for each in lines], indent=2), "tabs.json": "\n".join(json.dumps(json.loads(each), indent="\t") for each in lines),
        "flat.json": "\n".join(json.dumps(json.loads(each), indent=0) for each in lines), "joined.json": "".join(lines),
        "utf-16.jsonl": text.encode("utf-16"), "utf-16be.jsonl": text.encode("utf-16-be"), "snake.jsonl": snake, "base64.jsonl": with_base64,
        "older.jsonl": text.replace("scopeSpans", "instrumentationLibrarySpans"),
        "gzip.gz": gzip.compress(text.encode()), "two.gz": b"".join(gzip.compress(each.encode() + b"\n") for each in lines),
        "zstd.zst": zstd(text.encode()), "collector.zst": b"".join(len(zstd(each.encode())).to_bytes(4, "big") + zstd(each.encode()) for each in lines),
        "twice.jsonl": text + "\n" + text, "commas.jsonl": ",\n".join(lines), "sequence.json-seq": "".join("\x1e" + each + "\n" for each in lines),
        "utf-16.gz": gzip.compress(text.encode("utf-16")), "twice.gz": gzip.compress(gzip.compress(text.encode())),
        "gzip.zst": zstd(gzip.compress(text.encode())), "mark.gz": gzip.compress(b"\xef\xbb\xbf" * 2 + text.encode()),
    }  # fmt: skip
    wrapped = {"jaeger-v3.json": {"result": one}, "tempo.json": {"batches": one["resourceSpans"]}, "resource.json": one["resourceSpans"][0]}
    # Lines that are passed over, of three.
    damaged = {
        "torn.jsonl": "\n".join([lines[0], lines[1][:100], lines[2]]), "torn-in-a-list.jsonl": "\n".join([lines[0], '{"resourceSpans": [', lines[2]]),
        "torn-at-the-end.jsonl": text[:-40], "zeros.jsonl": "\n".join([lines[0], "\0" * 500, lines[2]]), "logs.jsonl": "\n".join([lines[0], '{"resourceLogs": []}', lines[2]]),
    }  # fmt: skip
    said = {
        "jaeger.json": ({"data": [{"traceID": "1", "spans": []}]}, "Jaeger"), "zipkin.json": ([{"traceId": "01", "id": "01"}], "Zipkin"),
        "console.json": (json.dumps({"name": "chat", "context": {"trace_id": "0x1"}}, indent=4) * 2, "console exporter"),
        "go.json": ({"Name": "chat", "SpanContext": {}}, "console exporter"), "mlflow.json": ({"info": {"trace_id": "tr-1"}, "data": {}}, "MLflow's own"),
        "metrics.json": ({"resourceMetrics": []}, "metrics"), "other.json": ({"a": 1}, "no resourceSpans"), "page.html": ("<html>\n</html>", "web page"), "table.csv": ("user,session\n1,2", "has no line of JSON"),
        "damaged.gz": (gzip.compress(text.encode())[:12] + b"\xff" * 99, "damaged"), "utf-32.jsonl": (text.encode("utf-32"), "iconv"),
        "traces.xz": (b"\xfd7zXZ\0", "unxz"), "mlflow.db": (b"SQLite format 3\0" + bytes(99), "server"),
        "traces.binpb": (b"\n\x1e\n\x1c\n\x1a\0\1", "protobuf"), "collector.binpb": (bytes((0, 0, 1, 0)) + b"\n\x1e\n\x1c\n\x1a\0\1", "protobuf"),
        "protobuf.gz": (gzip.compress(b"\n\x1e\n\x1c\n\x1a\0\1"), "protobuf"), "traces.tar.gz": (gzip.compress(b"t" * 257 + b"ustar  " + bytes(99)), "tar archive"),
        "xz.gz": (gzip.compress(b"\xfd7zXZ\0"), "unxz"), "console.js": ("{\n  traceId: '6c6d',\n  id: '01'\n}\n", "console exporter"),
        "no-ids.jsonl": (text.replace("traceId", "id"), "trace ID"),
    }  # fmt: skip

    def put(name: str, content: object) -> pathlib.Path:
        path = pathlib.Path(folder, name)
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    told = json.loads(run("export", "--json", "--tracking-uri", str(put("told.jsonl", text))).stdout)
    for name, content in read.items():
        done = run("export", "--json", "--tracking-uri", str(put(name, content)))
        check(done.returncode == 0 and done.stderr == "" and json.loads(done.stdout) == told, f"{name}: {done}")
    for name, content in wrapped.items():
        check(rows_and_errors(put(name, content)) == (0, 1, ""), f"{name}: {rows_and_errors(put(name, content))}")
    for name, content in damaged.items():
        code, rows, errors = rows_and_errors(put(name, content))
        check((code, rows) == (0, 2) and "1 " in errors and errors.count("\n") == 1, f"{name}: {code} {rows} {errors}")
    for name, (content, says) in said.items():
        code, rows, errors = rows_and_errors(put(name, content))
        check((code, rows) == (1, -1) and says in errors and errors.count("\n") == 1, f"{name}: {code} {rows} {errors}")
    for name in ("empty.jsonl", "blank.jsonl"):
        check(rows_and_errors(put(name, "\n" * (name == "blank.jsonl"))) == (0, 0, ""), name)
    shared = put("shared.jsonl", line(7) + line(47))  # in session-7 both
    sessions = json.loads(run("sessions", "--json", "--tracking-uri", str(shared)).stdout)
    check(sessions[0]["users"] == ["user-7", "user-47"], f"{sessions}")
    for command in (["sessions"], ["show", "session-7"]):
        shown = run(*command, "--tracking-uri", str(shared)).stdout
        check("user-7" in shown and "user-47" in shown, f"{command}: {shown}")


def check_many_spans(folder: str) -> None:
    """A trace of which every span failed: below one span or each below the one before, for one reason or for as many."""
    count = 1_200
    path = pathlib.Path(folder, "many_spans.jsonl")
    for is_nested in (False, True):
        for is_same in (False, True):
            spans = []
            reasons = ["no" if is_same else "no " + "".join("abcdefghij"[int(digit)] for digit in str(number)) for number in range(count)]
            for number, reason in enumerate(reasons):
                span = json.loads(line(0))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
                span |= {"spanId": f"{number + 1:016x}", "name": f"step {number}", "status": {"code": 2, "message": reason}}
                parent = number if is_nested else 1
                spans.append(span if number == 0 else span | {"parentSpanId": f"{parent:016x}", "attributes": []})
            path.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n")
            causes = [f"step {number}: {reasons[number]}" for number in range(count - 1 if is_nested else 1, count)]
            what = f"nested: {is_nested}, one reason: {is_same}"
            shown = run("show", "session-0", "--tracking-uri", str(path))
            said = [each.split("error  ")[1] for each in shown.stdout.splitlines() if "error  " in each]
            check(shown.returncode == 0 and said == causes, f"{what}: {len(said)} causes in place of {len(causes)}: {said[:5]} {shown.stderr}")
            printed = run("errors", "--tracking-uri", str(path))
            check(printed.returncode == 0 and causes[0] in printed.stdout, f"{what}: {printed.stdout[:500]} {printed.stderr}")
            groups = [row["error"] for row in json.loads(run("errors", "--json", "--tracking-uri", str(path)).stdout)]
            expected = causes[:1] if is_same else causes
            check(sorted(groups) == sorted(expected), f"{what}: {len(groups)} errors in place of {len(expected)}: {groups[:5]}")
            for command in ("sessions", "users", "export"):
                rows = json.loads(run(command, "--json", "--tracking-uri", str(path)).stdout)
                check(len(rows) == 1, f"{what}: {command}: {rows[:3]}")


def check_delivered_again(folder: str) -> None:
    """Of a span that was delivered twice, every command uses the last version."""
    path = pathlib.Path(folder, "delivered_again.jsonl")
    for message in ("", "card declined"):
        document = json.loads(line(0))
        root = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
        root |= {"status": {"code": 2}}
        start = int(root["startTimeUnixNano"])
        tool = root | {"spanId": f"{77:016x}", "parentSpanId": root["spanId"], "name": "pay", "attributes": [], "startTimeUnixNano": str(start + 2000)}
        versions = [{"code": 2, "message": "out of date"}, {"code": 2, "message": message}]
        spans = [tool | {"status": versions[0]}, root, tool | {"status": versions[1], "startTimeUnixNano": str(start + 3000)}]
        lines = [{"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]} for span in spans]
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))
        cause = f"pay: {message}" if message else "pay failed"
        shown = run("show", "session-0", "--tracking-uri", str(path)).stdout
        listed = run("errors", "--tracking-uri", str(path)).stdout
        page = pathlib.Path(folder, "delivered_again.html")
        run("report", "--tracking-uri", str(path), "--output", str(page))
        figures = re.search(r'<script data-block="figures" type="([a-z/]+)">([^<]*)</script>', page.read_text())
        faults = json.loads(zlib.decompress(base64.b64decode(figures[2])) if figures[1] == "text/deflate" else figures[2])["faults"]
        check(cause in shown and "out of date" not in shown, f"show: {shown}")
        check(cause in listed and "out of date" not in listed, f"errors: {listed}")
        check("out of date" not in json.dumps(faults) and (not message or faults == [["pay", message]]), f"report: {faults}")


def check_spans_without_ids(folder: str) -> None:
    """Spans of a trace without an ID are different spans, whatever fails around them."""
    path = pathlib.Path(folder, "without_ids.jsonl")
    document = json.loads(line(0))
    root = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    start = int(root["startTimeUnixNano"])
    root |= {"status": {"code": 2, "message": "the turn failed"}}
    tools = []
    for number, bad in enumerate((None, None, "", "not an ID", "0" * 16)):
        tool = root | {"spanId": bad, "name": f"tool {'abcde'[number]}", "attributes": [], "startTimeUnixNano": str(start + 1000 * number)}
        tool |= {"parentSpanId": root["spanId"], "status": {"code": 2, "message": "is down"}}
        tools.append({key: value for key, value in tool.items() if value is not None})
    document["resourceSpans"][0]["scopeSpans"][0]["spans"] = [*tools[:3], root, *tools[3:]]
    path.write_text(json.dumps(document) + "\n")
    shown = run("show", "session-0", "--tracking-uri", str(path)).stdout
    listed = run("errors", "--tracking-uri", str(path)).stdout
    for letter in "abcde":
        check(f"tool {letter}: is down" in shown, f"show: tool {letter}: {shown}")
        check(f"tool {letter}: is down" in listed, f"errors: tool {letter}: {listed}")
    # A root span that failed explains no span without an ID.
    document["resourceSpans"][0]["scopeSpans"][0]["spans"] = [tools[0] | {"parentSpanId": ""}, root]
    path.write_text(json.dumps(document) + "\n")
    listed = run("errors", "--tracking-uri", str(path)).stdout
    check("tool a: is down" in listed and "the turn failed" in listed, f"errors: {listed}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = str(pathlib.Path(folder, "traces.jsonl"))
        pathlib.Path(file).write_text("".join(map(line, range(USERS))), encoding="utf-8")
        check_tables(file)
        check_json(file)
        check_progress(file)
        check_arguments(file)
        check_commands()
        check_numbers(pathlib.Path(folder))
        check_options_without_effect(file)
        check_forget_arguments(folder)
        check_forget_in_files(folder)
        check_closed_files(file)
        check_broken_servers(folder)
        check_hostile_names()
        check_export(file, folder)
        check_files_of_others(folder)
        check_many_spans(folder)
        check_delivered_again(folder)
        check_spans_without_ids(folder)
        unwritable = run("export", "--tracking-uri", file, "--output", str(pathlib.Path(folder, "none", "traces.csv")))
        check(unwritable.returncode == 1 and "cannot be written" in unwritable.stderr, f"{unwritable}")
        full = subprocess.run(f"'{PROGRAM}' users --tracking-uri '{file}' > /dev/full", shell=True, capture_output=True, text=True)
        check(full.returncode == 1 and "cannot be written" in full.stderr, f"a full disk: {full}")
    print(f"{checks} checks passed")


if __name__ == "__main__":
    main()
