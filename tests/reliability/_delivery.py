# SPDX-License-Identifier: Apache-2.0
"""What the harnesses of delivery share: a real MLflow server, Toxiproxy before it, the writer, and what is stored."""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from servers import free_ports, listen, mlflow_server, running  # noqa: E402

SKIPPED = 77
TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"  # the latest one that Go 1.17 builds
HANGS_AFTER = 300  # seconds without the next line of a writer

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def ask(uri: str, body: dict | None = None, method: str | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(uri, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return reply.read()


def toxiproxy_program() -> pathlib.Path:
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mlflow_trace"
    program = cache / TOXIPROXY.rpartition("/")[2].replace("server", "toxiproxy")
    if not program.exists():
        if not shutil.which("go"):
            print("SKIPPED: Toxiproxy needs Go to be built")
            sys.exit(SKIPPED)
        folder = cache / f"toxiproxy-{os.getpid()}"
        folder.mkdir(parents=True)
        subprocess.run(["go", "install", TOXIPROXY], check=True, env=os.environ | {"GOBIN": str(folder)}, cwd="/")
        (folder / "server").rename(program)
        folder.rmdir()
    return program


class Proxy:
    """One way to a server, with faults on it."""

    def __init__(self, api: str, name: str, server: str):
        self.at = f"{api}/proxies/{name}"
        made = {"name": name, "listen": "127.0.0.1:0", "upstream": server.removeprefix("http://")}
        self.uri = "http://" + json.loads(ask(f"{api}/proxies", made))["listen"]

    def change(self, **what) -> None:
        """`enabled` or `upstream`; all connections are closed."""
        ask(self.at, what)

    def lead_to(self, server: str) -> None:
        self.change(upstream=server.removeprefix("http://"))

    def add(self, kind: str, stream: str = "downstream", **attributes) -> None:
        ask(f"{self.at}/toxics", {"name": kind, "type": kind, "stream": stream, "attributes": attributes})

    def remove(self, kind: str) -> None:
        ask(f"{self.at}/toxics/{kind}", method="DELETE")


@contextlib.contextmanager
def toxiproxy(folder: pathlib.Path):
    (port,) = free_ports(1)
    api = f"http://127.0.0.1:{port}"
    command = [toxiproxy_program(), "-host", "127.0.0.1", "-port", str(port)]
    with running(command, lambda: listen([port]), folder / "toxiproxy.log"):
        yield api


class Writer:
    """A program that says what it does in lines of JSON: delivery_writer.cpp, or python_delivery.py."""

    def __init__(self, command: list, **options):
        self.lines: list[dict] = []
        self.largest_resident = 0  # in KiB
        self._news = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            with self._news:
                self.lines.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def resident(self) -> int:
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
            for line in status.splitlines():
                if line.startswith("VmRSS:"):
                    self.largest_resident = max(self.largest_resident, int(line.split()[1]))
                    return int(line.split()[1])
        return 0

    def all(self, kind: str) -> list[dict]:
        return [line for line in self.lines if kind in line]

    def wait_for(self, kind: str, count: int = 1, or_end: bool = False) -> list[dict]:
        """Its lines of this kind, when there are so many; a writer that falls silent hangs."""
        silent_since, known = time.monotonic(), 0
        with self._news:
            while len(self.all(kind)) < count:
                if self._ended:
                    if or_end:
                        break
                    raise AssertionError(f"the writer ended with {self._process.wait()} before '{kind}'")
                if len(self.lines) > known:
                    silent_since, known = time.monotonic(), len(self.lines)
                if time.monotonic() > silent_since + HANGS_AFTER:
                    self._process.kill()
                    raise AssertionError(f"the writer hangs before '{kind}': {self.lines[-3:]}")
                self._news.wait(0.2)
                self.resident()
            return self.all(kind)

    def go(self) -> None:
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def end(self) -> dict:
        """Its account, when it has ended."""
        (told,) = self.wait_for("account")
        if status := self._process.wait(HANGS_AFTER):
            raise AssertionError(f"the writer ended with {status}")
        return told


def stored(uri: str, experiment: str) -> tuple[list[str], int]:
    """The numbers of the traces that the server has, or the IDs of those that arrived without theirs, and how many spans
    they have together."""
    import mlflow

    mlflow.set_tracking_uri(uri)  # where traces that are kept as files are looked for
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(experiment)
    numbers, spans, page = [], 0, None
    while found:
        traces = client.search_traces(locations=[found.experiment_id], max_results=500, page_token=page)
        numbers += [trace.info.tags.get("number", trace.info.trace_id) for trace in traces]
        spans += sum(len(trace.data.spans) for trace in traces)
        if not (page := traces.token):
            break
    return numbers, spans


def balance(account: dict, numbers: list[str], spans: int) -> dict:
    """The account of a writer that has ended, with what the server has in place of what the writer says."""
    found = {
        "started": account["started"],
        "exported": spans,
        "failed": account["failed"],
        "dropped": account["dropped"],
        "pending": account["queued"] + account["open"],
        "stored_twice": len(numbers) - len(set(numbers)),
    }
    found["balanced"] = (
        spans == account["exported"]
        and found["started"] == spans + found["failed"] + found["dropped"] + found["pending"]
        and not found["stored_twice"]
    )
    return found


def arguments(doc: str, **options) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("writer", help="the built delivery_writer.cpp")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=pathlib.Path)
    for name, default in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return parser.parse_args()


def finish(result: dict, output: pathlib.Path | None, faults: list[str]) -> None:
    text = json.dumps(result, indent=1)
    print(text)
    if output:
        output.write_text(text + "\n")
    if faults:
        sys.exit("\n".join(faults))
