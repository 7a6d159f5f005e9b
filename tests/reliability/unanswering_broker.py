#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A broker that answers the gateway's pings, but not its messages: what the gateway keeps for this broker is limited, and
it sends again once the broker answers.

    unanswering_broker.py FLEET GATEWAY [--messages 50]

FLEET gives one frame of a real device, which the broker delivers again and again, a thousand times in each message.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ = 1, 3, 8, 12
MOST = 10_000  # most_unanswered in examples/device_gateway/mqtt.hpp


def packet(first: int, body: bytes) -> bytes:
    size, left = b"", len(body)
    while left or not size:
        left, digit = divmod(left, 128)
        size += bytes([digit | (128 if left else 0)])
    return bytes([first]) + size + body


def publication(topic: bytes, payload: bytes) -> bytes:
    return packet(PUBLISH << 4, len(topic).to_bytes(2) + topic + payload)


class Broker:
    """Accepts one client, and counts what it publishes with quality of service 1."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(30)
        self.port = self.listening.getsockname()[1]
        self.published = 0
        self.waiting: list[bytes] = []  # the numbers of messages without an answer
        self.is_answering = False
        self.lock = threading.Lock()
        self.is_subscribed = threading.Event()
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self) -> None:
        self.client, _ = self.listening.accept()
        stream = self.client.makefile("rb")
        while first := stream.read(1):
            size, shift = 0, 0
            while True:
                digit = stream.read(1)[0]
                size |= (digit & 127) << shift
                shift += 7
                if digit < 128:
                    break
            body = stream.read(size)
            kind = first[0] >> 4
            if kind == CONNECT:
                self.client.sendall(packet(0x20, bytes(2)))
            elif kind == SUBSCRIBE:
                self.client.sendall(packet(0x90, body[:2] + b"\x01"))
                self.is_subscribed.set()
            elif kind == PINGREQ:
                self.client.sendall(packet(0xD0, b""))
            elif kind == PUBLISH:
                self.received(body[2 + int.from_bytes(body[:2]) :][:2])

    def received(self, number: bytes) -> None:
        with self.lock:
            self.published += 1
            self.waiting.append(number)
            if self.is_answering:
                self.answer_all()

    def answer_all(self) -> None:
        self.client.sendall(b"".join(packet(0x40, number) for number in self.waiting))
        self.waiting.clear()

    def begin_to_answer(self) -> None:
        with self.lock:
            self.is_answering = True
            self.answer_all()

    def settled(self) -> int:
        """How many messages there are when no more come."""
        patience, before = time.monotonic() + 120, -1
        while before != self.published and time.monotonic() < patience:
            before = self.published
            time.sleep(2)
        return before


def a_frame(fleet: str) -> bytes:
    """What the device called device-0 sends first."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = subprocess.Popen([fleet, str(listening.getsockname()[1]), "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        listening.settimeout(30)
        with listening.accept()[0] as device:
            device.settimeout(30)
            sent = b""
            while sent.count(0) < 2 and (more := device.recv(4096)):  # a frame begins and ends with a zero
                sent += more
        process.kill()
        process.wait()
    return sent[: sent.rindex(0) + 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fleet")
    parser.add_argument("gateway")
    parser.add_argument("--messages", type=int, default=50)
    told = parser.parse_args()
    os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    frame = a_frame(told.fleet)
    topic = b"mlflow_trace/device-0/frames"
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker()
        command = [told.gateway, folder, "--mqtt", f"127.0.0.1:{broker.port}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        if not broker.is_subscribed.wait(30):
            sys.exit("the gateway has not subscribed")
        many = publication(topic, frame * 1_000)
        for _ in range(told.messages):
            broker.client.sendall(many)
            time.sleep(0.05)  # the gateway drops what does not fit
        time.sleep(2)
        broker.begin_to_answer()
        kept = broker.settled()
        broker.client.sendall(publication(topic, frame))
        then = broker.settled() - kept
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    report = json.loads(said)
    frames = sum(row["received"] + row["doubled"] for row in report["devices"])
    print(json.dumps({"frames": frames, "kept": kept, "then": then}))
    if frames < 2 * MOST or not 0 < kept <= MOST or then != 1:
        sys.exit(1)


if __name__ == "__main__":
    main()
