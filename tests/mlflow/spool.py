# SPDX-License-Identifier: Apache-2.0
"""A spool in front of a real server: processes killed while they record and deliver, and the rest delivered by
examples/mlflow_spool. What was acknowledged is stored, once, with its own user, session, tag, metadata and request ID.

MLFLOW_TRACE_KILLS, "count seed seconds", says how many processes are killed, and how long they live at most;
MLFLOW_TRACE_RESULT names a file for the result.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import mlflow
from _reading import check, check_same, experiment_id, finish, traces_of

sys.path += [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("reliability", "support")]
from kill import killed, numbers
from terminal import Terminal

WRITER = os.environ["MLFLOW_TRACE_SPOOL_WRITER"]
TOOL = os.environ["MLFLOW_TRACE_SPOOL"]
URI = os.environ["MLFLOW_TRACKING_URI"]
NAME = os.environ.get("MLFLOW_TRACE_EXPERIMENT", "spool")
KILLS, SEED, SECONDS = map(float, os.environ.get("MLFLOW_TRACE_KILLS", "8 1 1.5").split())
KILLS = int(KILLS)


def tool(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False)


def on_a_terminal(*arguments: str) -> tuple[str, int]:
    with Terminal() as terminal:
        done = subprocess.run([TOOL, *arguments], stdout=terminal.output, stderr=terminal.output, check=False)
    return terminal.text, done.returncode


def rows(command: str, folder: str) -> list[dict]:
    return json.loads(tool(command, folder, "--json").stdout)


def check_stored(acknowledged: set[str]) -> dict[str, int]:
    stored: dict[str, list] = {}
    for trace in traces_of(experiment_id(NAME)):
        stored.setdefault(trace.info.tags["number"], []).append(trace)
    for number in acknowledged:
        check_same(len(stored.get(number, [])), 1, f"traces {number}")
    for number, (trace, *_) in stored.items():
        metadata = trace.info.trace_metadata
        check_same(metadata.get("mlflow.trace.user"), "user-1042", f"{number}: user")
        check_same(metadata.get("mlflow.trace.session"), "session-" + number.split("-")[0], f"{number}: session")
        check_same(sorted(span.name for span in trace.data.spans), ["step", "turn"], f"{number}: spans")
        is_eighth = int(number.split("-")[2]) % 8 == 0
        check_same(trace.info.client_request_id, number if is_eighth else None, f"{number}: request ID")
        check_same(metadata.get("app.segment"), "pro" if is_eighth else None, f"{number}: segment")
    return {
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - stored.keys()),
        "stored": len(stored),
        "stored_twice": sum(len(traces) > 1 for traces in stored.values()),
        "written_but_killed_before_the_acknowledgement": len(stored.keys() - acknowledged),
    }


def check_damage(folder: pathlib.Path) -> None:
    """A flipped bit is found, told, and costs one trace."""
    file = max(folder.glob("*.spool"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    before = json.loads(tool("check", str(folder), "--json").stdout)
    torn = sum(row["damaged_places"] for row in before)  # by a process that was killed while it wrote
    traces = next(row["traces"] for row in before if row["file"] == file.name)
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    checked = tool("check", str(folder), "--json")
    check_same(checked.returncode, 1, "check of a damaged file")
    check(f"{torn + 1} damaged place{'s' * (torn > 0)};" in checked.stderr, checked.stderr)
    row = next(row for row in json.loads(checked.stdout) if row["file"] == file.name)
    in_file = next(row["damaged_places"] for row in before if row["file"] == file.name)
    check_same((row["traces"], row["damaged_places"]), (traces - 1, in_file + 1), "a damaged file")
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def counted_spans(number: int) -> str:
    return f"{number} span" + "s" * (number != 1)


def main() -> None:
    chance = random.Random(SEED)
    with tempfile.TemporaryDirectory() as above:
        folder = f"{above}/spool"
        acknowledged: set[str] = set()
        for kill in range(KILLS):
            lines = killed([WRITER, folder, str(kill), URI, NAME], chance.uniform(0, SECONDS))
            acknowledged.update(numbers(lines, "a"))
        # The last one reaches nobody.
        lines = killed([WRITER, folder, str(KILLS), "http://127.0.0.1:9", NAME], 0.3)
        acknowledged.update(numbers(lines, "a"))

        check_damage(pathlib.Path(folder))
        shown = {row["trace_id"]: row for row in rows("show", folder)}
        counted = rows("check", folder)
        check_same(sum(row["traces"] for row in counted), len(shown), "traces shown and counted")
        check({row["state"] for row in counted} == {"waiting"}, f"states of {counted}")
        mine = [row for row in shown.values() if row["session"] == f"session-{KILLS}"]
        check(len(mine) >= len(lines), f"{len(mine)} shown of {len(lines)}")
        check_same({row["user"] for row in mine}, {"user-1042"}, "users shown")

        away = tool("forward", folder, "--tracking-uri", "http://127.0.0.1:9")
        check(away.returncode == 1 and "no response from the MLflow server http://127.0.0.1:9: connect to" in away.stderr, f"a server that is away: {away}")
        check_same(len(rows("show", folder)), len(shown), "traces after a failed attempt")
        missing = tool("forward", folder + "x")
        check(missing.returncode != 0 and "does not exist" in missing.stderr + missing.stdout, f"no folder: {missing}")

        # What was put aside before stays, unless it is asked for.
        aside = next(pathlib.Path(folder).glob("*.spool"))
        spans_aside = next(row["spans"] for row in counted if row["file"] == aside.name)
        aside.rename(aside.with_suffix(".rejected"))
        check({row["state"] for row in rows("show", folder)} == {"waiting", "rejected"}, "states shown")
        spans = sum(row["spans"] for row in shown.values()) - spans_aside
        progress, status = on_a_terminal("forward", folder, "--experiment", NAME)
        check_same(status, 0, "forward on a terminal")
        check(f"of {counted_spans(spans)}…" in progress, f"progress: {progress[:500]}")
        check(f"{counted_spans(spans)} forwarded, 0 rejected" in progress, f"on a terminal: {progress[-500:]}")

        done = tool("forward", folder, "--experiment", NAME, "--rejected")
        check_same((done.returncode, done.stdout), (0, f"{counted_spans(spans_aside)} forwarded, 0 rejected\n"), done.stderr)
        check_same(done.stderr, "", "progress where there is no terminal")
        check_same(os.listdir(folder), [], "files that are left")
        again = tool("forward", folder, "--experiment", NAME)
        check_same((again.returncode, again.stdout), (0, "0 spans forwarded, 0 rejected\n"), again.stderr)
        result = {"mlflow": mlflow.__version__, "kills": KILLS + 1, "seed": int(SEED), "threads": 4}
        result |= check_stored(acknowledged) | {"left_to_mlflow_spool": len(shown)}
        print(json.dumps(result, indent=1))
        if path := os.environ.get("MLFLOW_TRACE_RESULT"):
            pathlib.Path(path).write_text(json.dumps(result, indent=1) + "\n")
    finish()


if __name__ == "__main__":
    main()
