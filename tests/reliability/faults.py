#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Delivery from memory to a real MLflow server through connections that fail, by Toxiproxy, and by
replies that it cannot make.

    faults.py WRITER [--traces 50] [--timeout 12] [--latency 10] [--slack 1] [--codes 105] [--seed 1] [--output result.json]

WRITER is the built delivery_writer.cpp, TIMEOUT in seconds its transport's for one request; each request ends SLACK
seconds after that at the latest. Each kind of fault lasts for some requests; then it is taken away, and the writer
delivers what is left. CODES is how many of the status codes 400 to 504 are tried. Fails when a request lasts longer,
when an account is not balanced, or when something is lost.
"""

import concurrent.futures
import email.utils
import pathlib
import random
import socketserver
import sys
import tempfile
import threading
import time

from _delivery import Proxy, Writer, arguments, balance, finish, mlflow_server, stored, toxiproxy

JOBS = 8
LARGE = 100 * 1024 * 1024


class RawServer(socketserver.ThreadingTCPServer):
    """Answers each request by the same bytes, and then closes, or by what `reply()` yields."""

    daemon_threads = True
    allow_reuse_address = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = 0
            while line := self.rfile.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            self.rfile.read(length)
            try:
                for part in self.server.reply():
                    self.wfile.write(part)
            except OSError:
                pass  # the client has had enough

    def __init__(self, reply):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.reply = reply
        self.uri = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


def status(code: int, headers: str = ""):
    return lambda: [f"HTTP/1.1 {code} x\r\nContent-Length: 2\r\nConnection: close\r\n{headers}\r\n{{}}".encode()]


def large_reply():
    yield f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n".encode()
    yield from (b"x" * 65536 for _ in range(LARGE // 65536))


def endless_reply():
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield from (b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(LARGE // 65536))


def no_reply():
    time.sleep(60)
    yield b""


def slow_reply():
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000:
        yield bytes([byte])
        time.sleep(0.1)


def scenarios(options) -> dict[str, dict]:
    """By name: the toxic or raw reply; the requests under it; what `Retry-After` asks, in seconds."""

    def toxic(*what: str, **attributes) -> dict:
        return {"toxic": (what, attributes), "requests": 2}

    def reply(made, **more) -> dict:
        return {"reply": made, "requests": 1, **more}

    def date(seconds: int):
        return lambda: status(503, f"Retry-After: {email.utils.formatdate(time.time() + seconds, usegmt=True)}\r\n")()

    def after(value: str):
        return status(503, f"Retry-After: {value}\r\n")

    made = {
        "latency": toxic("latency", latency=int(options.latency * 1000)),
        "half-open": toxic("timeout", timeout=0),
        "request swallowed": toxic("timeout", "upstream", timeout=0),
        "reset": toxic("reset_peer", timeout=0),
        "request reset": toxic("reset_peer", "upstream", timeout=10),
        "slow close": toxic("slow_close", delay=1000),
        "reply truncated": toxic("limit_data", bytes=40),
        "request truncated": toxic("limit_data", "upstream", bytes=200),
        "reply sliced": toxic("slicer", average_size=4, size_variation=2, delay=300_000),
        "request dripping": toxic("bandwidth", "upstream", rate=1),
        "reply dripping": reply(slow_reply),
        "down": {"down": True, "requests": 4},
        "reply of 100 MB": reply(large_reply),
        "reply of 100 MB in chunks": reply(endless_reply),
        "no HTTP": reply(lambda: [b"220 mail ESMTP\r\n"]),
        "no answer": reply(no_reply),
        "closed without an answer": reply(lambda: []),
        "half a header": reply(lambda: [b"HTTP/1.1 200 OK\r\nContent-"]),
        "half a body": reply(lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"]),
        "Retry-After: 2": reply(after("2"), asks=2),
        "Retry-After: date in 4 s": reply(date(4), asks=3),
        "Retry-After: date in the past": reply(date(-3600)),
        "Retry-After: 0": reply(after("0")),
        "Retry-After: -5": reply(after("-5")),
        "Retry-After: soon": reply(after("soon")),
        "Retry-After: empty": reply(after("")),
        "Retry-After: 1.5": reply(after("1.5")),
        "Retry-After: 99999999999999999999": reply(after("9" * 20), flush=3),
    }
    codes = random.Random(options.seed).sample(range(400, 505), min(options.codes, 105))
    return made | {f"status {code}": reply(status(code)) for code in sorted(codes)}


def check(options, name: str, what: dict, server: str, api: str) -> tuple[dict, list[str]]:
    proxy = Proxy(api, "".join(c if c.isalnum() else "_" for c in name), server)
    command = [options.writer, "--uri", proxy.uri, "--experiment", name, "--traces", str(options.traces), "--wait-for-go"]
    command += ["--timeout", str(int(options.timeout * 1000)), "--longest-wait", "1000"]
    writer = Writer(command + (["--flush", str(what["flush"] * 1000)] if "flush" in what else []))
    writer.wait_for("ready")
    resident, before = writer.resident(), len(writer.all("attempt"))
    if "toxic" in what:
        proxy.add(*what["toxic"][0], **what["toxic"][1])
    elif "reply" in what:
        raw = RawServer(what["reply"])
        proxy.lead_to(raw.uri)
    else:
        proxy.change(enabled=False)
    writer.go()
    under = writer.wait_for("attempt", before + what["requests"], or_end=True)[before:]
    if "flush" in what:
        writer.wait_for("account")
    if "toxic" in what:
        proxy.remove(what["toxic"][0][0])
    elif "reply" in what:
        proxy.lead_to(server)
        raw.shutdown()
        raw.server_close()
    else:
        proxy.change(enabled=True)
    told = writer.end()
    attempts = writer.all("attempt")[before:]
    account = balance(told["account"], *stored(server, name))
    longest = max(each["milliseconds"] for each in attempts) / 1000
    row = {
        "fault": name,
        "under_it": sorted({each["attempt"].replace(proxy.uri, "URI") for each in under}),
        "requests": len(attempts),
        "longest_request_in_seconds": round(longest, 3),
        "more_memory_in_MB": round(max(0, writer.largest_resident - resident) / 1024, 1),
        "caller_microseconds": {key: round(value) for key, value in told["caller_microseconds"].items()},
        "account": account,
    }
    faults = []
    if not account["balanced"]:
        faults.append(f"{name}: the account is not balanced: {row}, {told}")
    if longest > options.timeout + options.slack:
        faults.append(f"{name}: a request took {longest} s")
    if "flush" in what and account["pending"] != account["started"] - 2:
        faults.append(f"{name}: did not wait: {row}")
    if "flush" not in what and account["exported"] != account["started"]:
        faults.append(f"{name}: lost: {row}")
    if row["more_memory_in_MB"] > 64:
        faults.append(f"{name}: {row['more_memory_in_MB']} MB more memory")
    if "asks" in what:
        row["waited_seconds"] = round((attempts[1]["begun"] - attempts[0]["begun"]) / 1000, 3)
        if row["waited_seconds"] < what["asks"]:
            faults.append(f"{name}: waited for {row['waited_seconds']} s only")
    return row, faults


def main() -> None:
    options = arguments(__doc__, traces=50, timeout=12.0, latency=10.0, slack=1.0, codes=105)
    rows, faults = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with mlflow_server(folder) as server, toxiproxy(folder) as api:
            with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
                made = scenarios(options).items()
                for row, found in pool.map(lambda each: check(options, *each, server, api), made):
                    rows.append(row)
                    faults += found
    result = {
        "seed": options.seed,
        "traces_of_each": options.traces,
        "timeout_in_seconds": options.timeout,
        "latency_in_seconds": options.latency,
        "started": sum(row["account"]["started"] for row in rows),
        "exported": sum(row["account"]["exported"] for row in rows),
        "failed": sum(row["account"]["failed"] for row in rows),
        "dropped": sum(row["account"]["dropped"] for row in rows),
        "pending": sum(row["account"]["pending"] for row in rows),
        "longest_request_in_seconds": max(row["longest_request_in_seconds"] for row in rows),
        "faults": rows,
    }
    finish(result, options.output, faults)


if __name__ == "__main__":
    sys.exit(main())
