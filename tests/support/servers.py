# SPDX-License-Identifier: Apache-2.0
"""Servers that tests start, on free local ports."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable

START_SECONDS = 120


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as open_sockets:
        probes = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def listen(ports: list[int]) -> bool:
    """Whether somebody listens on each of them."""
    with contextlib.suppress(OSError):
        for port in ports:
            socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


@contextlib.contextmanager
def running(command: list, is_up: Callable[[], bool], log: pathlib.Path, **options):
    """A server that has begun to serve; ended, at the latest by force, with all that it started."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **options
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_up():
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.1)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, 15)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


@contextlib.contextmanager
def mlflow_server(folder: pathlib.Path, store: str | None = None, workers: int = 1, python=sys.executable, **options):
    """An MLflow server on a SQLite file in the folder or on `store`; its log is in the folder too."""
    (port,) = free_ports(1)
    uri = f"http://127.0.0.1:{port}"
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    command += ["--backend-store-uri", store or f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", folder / "artifacts"]

    def is_healthy() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(uri + "/health", timeout=5):
            return True
        return False

    with running(command, is_healthy, folder / "mlflow.log", cwd=folder, **options):
        yield uri
