# SPDX-License-Identifier: Apache-2.0
"""A real MLflow server for the tests, on a free local port and with a database of its own.

    server.py start FOLDER [OPTION...]     starts it, with further options of `mlflow server`, and waits until it is
                                           healthy; the state is FOLDER/server.json
    server.py run FOLDER PROGRAM [ARG...]  runs a program with MLFLOW_TRACKING_URI set to it
    server.py stop FOLDER                  ends the server and every process that it started; log and database stay
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

START_SECONDS = 120
STOP_SECONDS = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_healthy(uri: str) -> bool:
    try:
        with urllib.request.urlopen(uri + "/health", timeout=5) as reply:
            return reply.read() == b"OK"
    except (urllib.error.URLError, OSError):
        return False


def processes(folder: pathlib.Path) -> list[int]:
    """The processes of the server in this folder, however they were started, told by their environment."""
    mark = f"MLFLOW_TRACE_TEST_SERVER={folder}".encode()
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def stop(folder: pathlib.Path) -> None:
    for sent, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        deadline = time.monotonic() + seconds
        for pid in processes(folder):
            try:
                os.kill(pid, sent)
            except ProcessLookupError:
                pass
        while processes(folder) and time.monotonic() < deadline:
            time.sleep(0.1)
    if left := processes(folder):
        sys.exit(f"these processes of the server are still there: {left}")
    (folder / "server.json").unlink(missing_ok=True)


def start(folder: pathlib.Path, options: list[str]) -> None:
    stop(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    uri = f"http://127.0.0.1:{free_port()}"
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_TRACE_TEST_SERVER": str(folder),
    }
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
    command += ["--port", uri.rpartition(":")[2], "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts"), *options]
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not is_healthy(uri):
        if server.poll() is not None or time.monotonic() > deadline:
            text = log.read_text(errors="replace")
            stop(folder)
            sys.exit(f"MLflow did not start:\n{text[-4000:]}")
        time.sleep(0.2)
    (folder / "server.json").write_text(json.dumps({"uri": uri, "pid": server.pid}) + "\n")
    print(uri)


def run(folder: pathlib.Path, command: list[str]) -> None:
    state = folder / "server.json"
    os.environ["MLFLOW_TRACKING_URI"] = json.loads(state.read_text())["uri"]
    os.environ["MLFLOW_TRACE_SERVER_JSON"] = str(state)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
    os.execv(command[0], command)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["start", folder, *options]:
            start(pathlib.Path(folder).resolve(), options)
        case ["stop", folder]:
            stop(pathlib.Path(folder).resolve())
        case ["run", folder, *command] if command:
            run(pathlib.Path(folder).resolve(), command)
        case _:
            sys.exit(__doc__)
