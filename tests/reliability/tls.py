#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Delivery to a real MLflow server over TLS, by stunnel, where for a while something is wrong that is not about the traces:
certificates, the file of CAs, tokens, what answers in the server's place, names.

    tls.py WRITER [--traces 50] [--attempts 4] [--cases 100] [--seed 1] [--output result.json]

WRITER is the built delivery_writer.cpp. Each fault lasts until ATTEMPTS requests have met it; then it is mended, and the
writer delivers what is left: once from memory (`batch<retry<…>>`), once by `spool`. CASES is how many of the faults are
tried, chosen by SEED. Fails when a trace or its request ID is lost, when one is put aside, or when an account is not balanced.
"""

import concurrent.futures
import contextlib
import http.client
import http.server
import os
import pathlib
import random
import select
import socket
import sys
import tempfile
import threading

from _delivery import Writer, arguments, balance, finish, free_ports, listen, mlflow_server, running, stored

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "secured"))
from _certificates import DAY, NOW, Authority  # noqa: E402

JOBS = 4
HOST = "mlflow.late"  # the writer has it for this machine
PAGE = b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"


class Front:
    """Before MLflow: wants a token where one is set, and answers in its place while `answer` says how."""

    def __init__(self, server: str):
        self.answer: tuple[int, dict, bytes] | None = None
        self.token: str | None = None
        front, at = self, server.removeprefix("http://")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if front.answer:
                    return self.reply(*front.answer)
                if front.token and self.headers.get("Authorization") != f"Bearer {front.token}":
                    return self.reply(401, {"WWW-Authenticate": "Bearer"}, b"the token is not known")
                there = http.client.HTTPConnection(at, timeout=60)
                with contextlib.closing(there):
                    there.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k != "Host"})
                    told = there.getresponse()
                    self.reply(told.status, {"Content-Type": told.headers.get("Content-Type", "")}, told.read())

            def reply(self, status: int, headers: dict, body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = handle_one  # noqa: N815

            def log_message(self, *_) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Tunnels:
    """A proxy for CONNECT, to this machine whatever the name is; refuses while `refusal` is a status."""

    def __init__(self):
        self.refusal = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := client.recv(4096)):
                    return
                head += more
            if self.refusal:
                client.sendall(b"HTTP/1.1 %d x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno" % self.refusal)
                return
            port = int(head.split()[1].rpartition(b":")[2])
            with socket.create_connection(("127.0.0.1", port)) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    for side in select.select([client, server], [], [])[0]:
                        if not (data := side.recv(65536)):
                            return
                        (server if side is client else client).sendall(data)

    def close(self) -> None:
        self._listener.close()


class Tls:
    """stunnel before the front, with one certificate after another on the same port."""

    def __init__(self, folder: pathlib.Path, to: int):
        self.folder, self.to = folder, to
        (self.port,) = free_ports(1)
        self._running = contextlib.ExitStack()

    def serve(self, certificate: pathlib.Path) -> None:
        """All connections are closed, and the next ones are given this certificate."""
        self.close()
        lines = ["foreground = yes", "pid =", "debug = err", "[tls]", f"accept = 127.0.0.1:{self.port}"]
        lines += [f"connect = 127.0.0.1:{self.to}", f"cert = {certificate}", "options = NO_TICKET", "sessionCacheSize = 1"]
        (self.folder / "tls.conf").write_text("\n".join(lines) + "\n")
        command = ["stunnel4", self.folder / "tls.conf"]
        self._running.enter_context(running(command, lambda: listen([self.port]), self.folder / "tls.log"))

    def close(self) -> None:
        self._running.close()


class Case:
    """What one fault needs: everything right at first, in a folder of its own."""

    def __init__(self, folder: pathlib.Path, server: str, authority: Authority):
        self.folder, self.authority = folder, authority
        self.front, self.tunnels = Front(server), Tunnels()
        self.tls = Tls(folder, self.front.port)
        self.good = self.certificate()
        self.tls.serve(self.good)
        self.ca, self.token, self.names = folder / "ca.pem", folder / "token", folder / "names"
        self.ca.write_bytes(authority.file.read_bytes())
        self.names.touch()
        self.environment: dict[str, str] = {"DELIVERY_NAMES": str(self.names)}
        self.options: list = ["--ca", self.ca]

    def certificate(self, name: str = HOST, until=NOW + DAY, authority: Authority | None = None) -> pathlib.Path:
        return (authority or self.authority).issue(name, until)

    def close(self) -> None:
        self.tls.close()
        self.front.close()
        self.tunnels.close()


def answered(status: int, headers: dict | None = None, body: bytes = PAGE):
    """Something between the two answers so."""

    def scenario(case: Case):
        case.front.answer = (status, {"Content-Type": "text/html"} if headers is None else headers, body)
        yield
        case.front.answer = None

    return scenario


def served(certificate, renewed: bool = False):
    """The server shows that certificate."""

    def scenario(case: Case):
        case.tls.serve(certificate(case))
        yield
        case.tls.serve(case.certificate() if renewed else case.good)

    return scenario


def tunnelled(refusal: int):
    """The way is through a proxy, which answers so to CONNECT."""

    def scenario(case: Case):
        case.environment["https_proxy"] = f"http://127.0.0.1:{case.tunnels.port}"
        yield
        case.tunnels.refusal = refusal
        case.tls.serve(case.good)  # so that there is another connection
        yield
        case.tunnels.refusal = 0

    return scenario


def ca_file(content):
    """The writer's file of CAs is like that at first."""

    def scenario(case: Case):
        right = case.ca.read_bytes()
        case.ca.unlink()
        if (wrong := content(case)) is not None:
            case.ca.write_bytes(wrong)
        yield
        case.ca.write_bytes(right)

    return scenario


def token(before: str | None, late: str | None):
    """The server wants another token from some moment on, while the writer's file holds BEFORE, then LATE or none."""

    def scenario(case: Case):
        case.options += ["--token-file", case.token]
        case.front.token = "first"
        case.token.write_text(before or "first")
        yield
        case.front.token = "second"
        case.token.unlink()
        if late is not None:
            case.token.write_text(late)
        yield
        case.token.write_text("second")

    return scenario


def name_unknown(case: Case):
    case.names.unlink()
    case.tls.serve(case.good)
    yield
    case.names.touch()


# By name: what is wrong, and whether that is so before the first trace already. A scenario prepares the writer up to its first
# `yield` where there are two.
FAULTS = {
    "certificate of an unknown authority": (served(lambda case: case.certificate(authority=Authority(case.folder, "other"))), False),
    "certificate of another host": (served(lambda case: case.certificate("other.late")), False),
    "certificate expired, then renewed": (served(lambda case: case.certificate(until=NOW - DAY), renewed=True), False),
    "certificate expired from the start": (served(lambda case: case.certificate(until=NOW - DAY), renewed=True), True),
    "no TLS is spoken there": (answered(400, {"Content-Type": "text/html"}, b"a plain HTTP request was sent"), False),
    "CA file late": (ca_file(lambda case: None), True),
    "CA file empty": (ca_file(lambda case: b""), True),
    "CA file of another authority": (ca_file(lambda case: Authority(case.folder, "other").file.read_bytes()), True),
    "token rotated, the new one is late": (token(None, "first"), False),
    "token rotated, no token for a while": (token(None, None), False),
    "token rotated, one with a newline first": (token(None, "second\n"), False),
    "token rotated, an empty one first": (token(None, ""), False),
    "proxy answers 502 with a page": (answered(502), False),
    "proxy answers 407": (answered(407, {"Proxy-Authenticate": "Basic"}), False),
    "proxy answers 200 with a login page": (answered(200), False),
    "proxy answers 200 with a login page from the start": (answered(200), True),
    "proxy answers 200 with JSON of its own": (answered(200, {"Content-Type": "application/json"}, b'{"status":"ok"}'), False),
    "proxy answers 302 to a login": (answered(302, {"Location": "https://login.late/"}, b""), False),
    "proxy answers 503 with Retry-After": (answered(503, {"Retry-After": "1", "Content-Type": "text/html"}), False),
    "proxy answers 413 with a page": (answered(413), False),
    "proxy answers 400 with a page": (answered(400), False),
    "proxy answers 500 with a page": (answered(500), False),
    "proxy answers 404 with a page": (answered(404), False),
    "tunnel refused with 407": (tunnelled(407), False),
    "tunnel refused with 502": (tunnelled(502), False),
    "tunnel refused with 400": (tunnelled(400), False),
    "name does not resolve": (name_unknown, False),
    "name does not resolve from the start": (name_unknown, True),
}
PREPARES = ("token", "tunnel")


def request_ids(server: str, experiment: str) -> int:
    """How many traces have the request ID that is their number."""
    import mlflow

    client = mlflow.MlflowClient(server)
    found, page, right = client.get_experiment_by_name(experiment), None, 0
    while found:
        traces = client.search_traces(locations=[found.experiment_id], max_results=500, page_token=page, include_spans=False)
        right += sum(trace.info.client_request_id == trace.info.tags.get("number", "") for trace in traces)
        if not (page := traces.token):
            break
    return right


def check(options, name: str, way: str, folder: pathlib.Path, server: str, authority: Authority) -> tuple[dict, list[str]]:
    scenario, at_start = FAULTS[name]
    folder.mkdir()
    experiment = f"{name}, {way}"
    with contextlib.closing(Case(folder, server, authority)) as case:
        steps = scenario(case)
        if at_start or name.startswith(PREPARES):
            next(steps)
        command = [options.writer, "--uri", f"https://{HOST}:{case.tls.port}", "--experiment", experiment, "--request-ids"]
        command += ["--traces", str(options.traces), "--longest-wait", "1000", "--timeout", "20000", *case.options]
        command += [] if way == "memory" else ["--spool", folder / "spool"]
        writer = Writer(command + ([] if at_start else ["--wait-for-go"]), env=os.environ | case.environment)
        before = 0
        if not at_start:
            writer.wait_for("ready")
            next(steps)
            before = len(writer.all("attempt"))
            writer.go()
        under = writer.wait_for("attempt", before + options.attempts)[before:]
        next(steps, None)
        told = writer.end()
    account = balance(told["account"], *stored(server, experiment))
    row = {
        "fault": name,
        "delivered": way,
        "under_it": sorted({each["attempt"].replace(str(folder), "FOLDER").replace(f":{case.tls.port}", "") for each in under}),
        "requests": len(writer.all("attempt")) - before,
        "request_ids": request_ids(server, experiment),
        "account": account,
    }
    faults = []
    if not account["balanced"]:
        faults.append(f"{experiment}: the account is not balanced: {row}, {told}")
    if account["exported"] != account["started"] or account["started"] != 2 * options.traces:
        faults.append(f"{experiment}: lost: {row}, {told}")
    if row["request_ids"] != options.traces:
        faults.append(f"{experiment}: request IDs are lost: {row}")
    if all(each["attempt"] == "200" for each in under) and "200" not in name:
        faults.append(f"{experiment}: there was no fault: {row}")
    if left := [each.name for each in (folder / "spool").glob("*")]:
        faults.append(f"{experiment}: the spool still holds {left}")
    return row, faults


def main() -> None:
    options = arguments(__doc__, traces=50, attempts=4, cases=100)
    names = sorted(random.Random(options.seed).sample(sorted(FAULTS), min(options.cases, len(FAULTS))))
    rows, faults = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        authority = Authority(folder, "authority")
        with mlflow_server(folder) as server, concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            made = [(fault, way) for fault in names for way in ("memory", "spool")]

            def run(numbered: tuple) -> tuple[dict, list[str]]:
                number, (fault, way) = numbered
                return check(options, fault, way, folder / str(number), server, authority)

            for row, found in pool.map(run, enumerate(made)):
                rows.append(row)
                faults += found
    result = {
        "seed": options.seed,
        "traces_of_each": options.traces,
        "attempts_under_each": options.attempts,
        "started": sum(row["account"]["started"] for row in rows),
        "exported": sum(row["account"]["exported"] for row in rows),
        "failed": sum(row["account"]["failed"] for row in rows),
        "dropped": sum(row["account"]["dropped"] for row in rows),
        "pending": sum(row["account"]["pending"] for row in rows),
        "faults": rows,
    }
    finish(result, options.output, faults)


if __name__ == "__main__":
    main()
