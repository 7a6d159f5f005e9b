#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many spans through one process, to a receiver that counts them: live allocations, open files and memory stay flat.

    soak.py WRITER [--spans 10000000] [--seed 1] [--output result.json]

WRITER is the built delivery_writer.cpp. It tells of its resources twenty times, each time with nothing left to deliver; what
it uses at most may not grow from the first half to the second by more than what its queue, of 4,096 spans, may keep
for reuse. SEED says how large the traces are.
"""

import http.server
import random
import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from _delivery import Writer, arguments, finish

SAMPLES = 20
QUEUE = 4096
MOST_GROWTH = {"live_allocations": QUEUE, "file_descriptors": 0, "resident_kilobytes": 8 * 1024}


class Receiver(http.server.BaseHTTPRequestHandler):
    """As much of MLflow as the writer asks for."""

    protocol_version = "HTTP/1.1"
    received = 0

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        is_version = self.path.endswith("/version")
        self.answer(b"3.17.2" if is_version else b'{"experiment": {"experiment_id": "1", "lifecycle_stage": "active"}}')

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
        Receiver.received += sum(len(scope.spans) for scope in scopes)
        self.answer(b"")

    def log_message(self, *_) -> None:
        pass


def main() -> None:
    options = arguments(__doc__, spans=10_000_000)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    size = random.Random(options.seed).randrange(200)
    command = [options.writer, "--uri", f"http://127.0.0.1:{server.server_port}", "--experiment", "soak"]
    command += ["--traces", str(options.spans // 2), "--samples", str(SAMPLES), "--bytes", str(size), "--wait-for-room", "--queue", str(QUEUE)]
    writer = Writer(command)
    told = writer.end()
    account = told["account"]
    samples = [{"spans": line["sample"]} | {key: line[key] for key in MOST_GROWTH} for line in writer.all("sample")]
    halves = samples[: SAMPLES // 2], samples[SAMPLES // 2 :]
    growth = {}
    for key in MOST_GROWTH:
        first, second = (max(each[key] for each in half) for half in halves)
        growth[key] = second - first
    left = sum(account[key] for key in ("failed", "dropped", "queued", "open"))
    faults = [f"{key} grew by {growth[key]}" for key, most in MOST_GROWTH.items() if growth[key] > most]
    if account["started"] != account["exported"] or left or account["exported"] != Receiver.received:
        faults.append(f"the account is not balanced: {account}, {Receiver.received} received")
    result = {"seed": options.seed, "bytes_of_input": size, "started": account["started"], "exported": Receiver.received}
    result |= {"dropped": account["dropped"], "pending": account["queued"] + account["open"]}
    result |= {"recorded_in_seconds": round(told["recorded_in_seconds"], 1)}
    result |= {"growth_from_the_first_half_to_the_second": growth, "samples": samples}
    finish(result, options.output, faults)


if __name__ == "__main__":
    main()
