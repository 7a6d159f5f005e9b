#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server that is away while traces are recorded, and a burst: what arrives by mlflow_trace, from memory, and what by
MLflow's own client as it is installed.

    outage.py WRITER [--seconds 60] [--rate 200] [--burst 2000] [--python 1] [--seed 1]
              [--output result.json]
    outage.py WRITER --seconds 3600 --pace 600 --rate 5 --burst 0 --python 0   an hour, by a clock that is 600 times as fast

WRITER is the built delivery_writer.cpp. The traces of an outage are recorded from up to 5 seconds before it to 5 seconds after
it (SEED says when); --python 0 leaves the other client out. With --pace the writer's clock is fast as long as the server is
away. Fails when mlflow_trace loses one, when its account is not balanced, or when it needs 64 MB more memory.
"""

import pathlib
import random
import sys
import tempfile
import time

from _delivery import Proxy, Writer, arguments, balance, finish, mlflow_server, stored, toxiproxy


def row(client: str, case: str, writer: Writer, server: str, experiment: str, resident: int, back: float) -> dict:
    told = writer.end()
    ended = time.monotonic()
    numbers, spans = stored(server, experiment)
    found = {
        "client": client,
        "case": case,
        "acknowledged": told["account"]["started"] // 2,
        "lost": told["account"]["started"] // 2 - len(set(numbers)),
        "stored_without_tags": sum(number.startswith("tr-") for number in numbers),
        "recorded_in_seconds": round(told["recorded_in_seconds"], 1),
        "ended_after_seconds": round(ended - back, 1),
        "more_memory_in_MB": round(max(0, writer.largest_resident - resident) / 1024, 1),
    }
    if "exported" in told["account"]:
        found["account"] = balance(told["account"], numbers, spans)
        found["caller_microseconds"] = told["caller_microseconds"]
    return found


def stay_away(options, before: float, writer: Writer, proxy: Proxy) -> None:
    """The writer goes on while there is no server for it."""
    if options.pace > 1:
        proxy.change(enabled=False)
        writer.go()
        writer.wait_for("hurried")
    else:
        writer.go()
        time.sleep(before)
        proxy.change(enabled=False)
        for _ in range(options.seconds * 10):
            time.sleep(0.1)
            writer.resident()
    proxy.change(enabled=True)


def main() -> None:
    options = arguments(__doc__, seconds=60, rate=200.0, burst=2000, python=1, pace=1)
    before = random.Random(options.seed).uniform(1, 5)
    recorded = int((before + options.seconds + 5) * options.rate)
    here = pathlib.Path(__file__).parent

    def ours(uri: str, experiment: str, traces: int, rate: float) -> list:
        command = [options.writer, "--uri", uri, "--experiment", experiment, "--wait-for-go"]
        if options.pace > 1:
            command += ["--hurry", str(options.seconds), "--pace", str(options.pace)]
        return command + ["--traces", str(traces), "--rate", str(rate)]

    def python(uri: str, experiment: str, traces: int, rate: float) -> list:
        return [sys.executable, here / "python_delivery.py", uri, experiment, str(traces), str(rate)]

    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with mlflow_server(folder) as server, toxiproxy(folder) as api:
            for client, command in (("mlflow_trace", ours), ("mlflow, Python", python))[: 1 + options.python]:
                proxy = Proxy(api, client.replace(", ", "_"), server)
                writer = Writer(command(proxy.uri, f"{client} outage", recorded, options.rate))
                writer.wait_for("ready")
                resident = writer.resident()
                stay_away(options, before, writer, proxy)
                case = f"server away for {options.seconds:,} s"
                rows.append(row(client, case, writer, server, f"{client} outage", resident, time.monotonic()))
                if not options.burst:
                    continue

                writer = Writer(command(proxy.uri, f"{client} burst", options.burst, 0))
                writer.wait_for("ready")
                resident, begun = writer.resident(), time.monotonic()
                writer.go()
                case = f"burst of {options.burst:,}"
                rows.append(row(client, case, writer, server, f"{client} burst", resident, begun))
    faults = [f"{each['case']}: {each}" for each in rows if "account" in each and (each["lost"] or not each["account"]["balanced"])]
    faults += [f"memory: {each}" for each in rows if "account" in each and each["more_memory_in_MB"] > 64]
    result = {"seed": options.seed, "clock_times_as_fast": options.pace, "traces_per_second": options.rate, "clients": rows}
    finish(result, options.output, faults)


if __name__ == "__main__":
    main()
