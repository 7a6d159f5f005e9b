# SPDX-License-Identifier: Apache-2.0
"""The example chat_server, started for a test and spoken to by HTTP."""

import contextlib
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request

from _reading import check, check_same

SERVER = os.environ["MLFLOW_TRACE_CHAT_SERVER"]


@contextlib.contextmanager
def chat_server(experiment: str, *options: str, **environment):
    """A server of its own until the end of the block; then everything must have been answered and delivered."""
    program = subprocess.Popen(
        [SERVER, *options, "0"], env=os.environ | {"MLFLOW_EXPERIMENT_NAME": experiment} | environment, stdout=subprocess.PIPE, text=True
    )
    try:
        line = program.stdout.readline()
        yield int(line.split("http://127.0.0.1:")[1].split(",")[0])
        program.send_signal(signal.SIGTERM)
        said, _ = program.communicate(timeout=250)
        check_same(program.returncode, 0, f"{experiment}: exit status")
        counts = said.split()
        check(counts[0] == counts[2] and int(counts[0]) > 0, f"{experiment}: {said}")
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()


def post(port: int, path: str, body: dict, **headers: str) -> tuple[int, dict]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
