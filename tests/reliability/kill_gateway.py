#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random points of a device_gateway to which many devices send: nothing that a device was told is safe may be
lost.

    kill_gateway.py FLEET GATEWAY MLFLOW_SPOOL [--devices 200] [--kills 100] [--seed 1] [--mqtt MOSQUITTO]

With --mqtt the devices send through a broker of that program, which is killed and restarted too.

MLflow is away all the time, so that what is safe is in the gateway's folder; mlflow_spool reads it.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("fleet", "gateway", "mlflow_spool"):
        parser.add_argument(name)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mqtt")
    told = parser.parse_args()
    chance = random.Random(told.seed)
    os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as above:
        folder = f"{above}/spool"

        def gateway() -> subprocess.Popen:
            command = [told.gateway, folder, "--mqtt" if told.mqtt else "--listen", f"127.0.0.1:{port}"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if not told.mqtt and not process.stdout.readline():
                sys.exit("the gateway did not start")
            return process

        def broker() -> subprocess.Popen:
            settings = pathlib.Path(above, "mosquitto.conf")
            settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
            process = subprocess.Popen([told.mqtt, "-c", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        return process
                if process.poll() is not None:
                    sys.exit("the broker did not start")
                time.sleep(0.02)

        queue = broker() if told.mqtt else None
        command = [told.fleet, str(port), str(told.devices), *(["mqtt"] if told.mqtt else [])]
        fleet = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for kill in range(told.kills):
            process = gateway()
            time.sleep(chance.uniform(0, 0.4))
            if told.mqtt and kill % 5 == 4:
                queue.kill()
                queue.wait()
                time.sleep(chance.uniform(0, 0.4))
                queue = broker()
            process.kill()
            process.communicate()
        last = gateway()
        if told.mqtt:  # the devices' last traces need a gateway that connects again
            time.sleep(1)
            queue.kill()
            queue.wait()
            time.sleep(1)
            queue = broker()
            time.sleep(0.5)
        said, _ = fleet.communicate(timeout=120)  # ends its standard input
        if fleet.returncode != 0:
            sys.exit(f"the devices ended with {fleet.returncode}: their rings were full")
        last.kill()
        last.communicate()
        if told.mqtt:
            queue.terminate()
            queue.wait()
        told_safe = said.decode().split()
        shown = subprocess.run([told.mlflow_spool, "show", folder, "--json"], capture_output=True, check=True)
        stored = collections.Counter(row["trace_id"] for row in json.loads(shown.stdout))
    lost = [trace for trace in told_safe if trace not in stored]
    result = {
        "devices": told.devices,
        "kills": told.kills + 1,
        "seed": told.seed,
        "told_safe": len(told_safe),
        "lost": len(lost),
        "written_twice": sum(count > 1 for count in stored.values()),
        "unknown": len(stored.keys() - set(told_safe)),
    }
    print(json.dumps(result))
    if lost or result["unknown"] or not told_safe:
        sys.exit(1)


if __name__ == "__main__":
    main()
