#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several processes at full speed to one MLflow server of several workers, on PostgreSQL: every trace is read back.

    postgresql.py WRITER [--processes 4] [--traces 5000] [--workers 4] [--bytes 1000] [--timeout 30] [--seed 1] [--output result.json]

WRITER is the built delivery_writer.cpp, BYTES the inputs of each trace, TIMEOUT in seconds its
transport's for one request. Needs Debian's `postgresql` and `psycopg2-binary` from
PyPI. Tells how much the server took in a second. SEED says when each process starts, within a second.
"""

import contextlib
import os
import pathlib
import pwd
import random
import shutil
import subprocess
import tempfile
import time

from _delivery import Writer, arguments, balance, finish, free_ports, listen, mlflow_server, running, stored


@contextlib.contextmanager
def postgresql(folder: pathlib.Path, settings: tuple[str, ...] = ()):
    """A server with data of its own, on the loopback; never as root, which PostgreSQL refuses."""
    programs = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    (port,) = free_ports(1)
    data = folder / "data"
    data.mkdir(mode=0o700)
    options = {}
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        folder.chmod(0o755)
        shutil.chown(data, user.pw_uid, user.pw_gid)
    initdb = [programs / "initdb", "-D", data, "-U", "mlflow", "--auth", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=data, **options)
    command = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", data, *settings]
    with running(command, lambda: listen([port]), folder / "postgresql.log", cwd=data, **options):
        yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"


def main() -> None:
    options = arguments(__doc__, processes=4, traces=5000, workers=4, bytes=1000, timeout=30)
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with postgresql(folder) as store, mlflow_server(folder, store, options.workers) as server:
            writers = []
            for process in range(options.processes):
                command = [options.writer, "--uri", server, "--experiment", "full speed", "--wait-for-go"]
                command += ["--name", f"process-{process}", "--traces", str(options.traces)]
                writers.append(Writer([*command, "--bytes", str(options.bytes), "--timeout", str(options.timeout * 1000)]))
            for writer in writers:
                writer.wait_for("ready")
            begun = time.monotonic()
            for writer, pause in zip(writers, sorted(chance.random() for _ in writers)):
                time.sleep(max(0, begun + pause - time.monotonic()))
                writer.go()
            told = [writer.end() for writer in writers]
            seconds = time.monotonic() - begun
            numbers, spans = stored(server, "full speed")
    account = {key: sum(each["account"][key] for each in told) for key in told[0]["account"]}
    found = balance(account, numbers, spans)
    attempts = [line for writer in writers for line in writer.all("attempt")]
    megabytes = sum(line["bytes"] for line in attempts if line["attempt"] == "200") / 1e6
    result = {
        "processes": options.processes,
        "workers": options.workers,
        "seed": options.seed,
        "timeout_in_seconds": options.timeout,
        "traces": options.processes * options.traces,
        "read_back": len(set(numbers)),
        "account": found,
        "seconds": round(seconds, 1),
        "traces_per_second": round(len(numbers) / seconds),
        "megabytes_per_second": round(megabytes / seconds, 2),
        "requests": len(attempts),
        "requests_that_failed": sum(line["attempt"] != "200" for line in attempts),
    }
    faults = []
    if not found["balanced"] or len(set(numbers)) != options.processes * options.traces:
        faults.append(f"not every trace is there: {[each['last_error'] for each in told]}")
    finish(result, options.output, faults)


if __name__ == "__main__":
    main()
