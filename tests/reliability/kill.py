#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random points while four threads record into a spool: nothing that was acknowledged may be lost.

    kill.py WRITER [--kills 1000] [--processes 2] [--seed 1] [--output result.json]

So many processes at a time share a folder. Each also delivers what killed ones have left behind, to a receiver that is
away now and then. In the end a last one delivers the rest.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time


def killed(command: list[str], seconds: float) -> list[str]:
    """The lines of a process that is killed so long after its first one."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        said = process.stdout.readline()
        deadline = time.monotonic() + seconds
        os.set_blocking(process.stdout.fileno(), False)
        while (left := deadline - time.monotonic()) > 0:
            said += process.stdout.read() or b""
            time.sleep(min(left, 0.002))
        process.send_signal(signal.SIGKILL)
        os.set_blocking(process.stdout.fileno(), True)
        said += process.stdout.read()
    if process.returncode != -signal.SIGKILL:
        sys.exit(f"{command} ended by itself with {process.returncode}")
    return said.decode().splitlines()


def numbers(lines: list[str], kind: str) -> list[str]:
    return [line.removeprefix(kind + " ") for line in lines if line.startswith(kind + " ")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("writer")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    acknowledged: set[str] = set()
    delivered: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        spool = f"{folder}/spool"
        commands = [[arguments.writer, spool, str(kill)] for kill in range(arguments.kills)]
        lives = [chance.uniform(0, 0.1) for _ in commands]
        with concurrent.futures.ThreadPoolExecutor(arguments.processes) as pool:
            for lines in pool.map(killed, commands, lives):
                acknowledged.update(numbers(lines, "a"))
                delivered.update(numbers(lines, "d"))
        left = len(list(pathlib.Path(spool).iterdir()))
        last = subprocess.run([arguments.writer, spool], stdout=subprocess.PIPE, text=True, check=True)
        delivered.update(numbers(last.stdout.splitlines(), "d"))
        files = [path.name for path in pathlib.Path(spool).iterdir()]

    result = {
        "kills": arguments.kills,
        "seed": arguments.seed,
        "processes_at_a_time": arguments.processes,
        "threads_of_each": 4,
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - delivered.keys()),
        "delivered": len(delivered),
        "delivered_again": sum(delivered.values()) - len(delivered),
        "written_but_killed_before_the_acknowledgement": len(delivered.keys() - acknowledged),
        "files_after_the_last_kill": left,
        "files_in_the_end": len(files),
    }
    print(json.dumps(result, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if acknowledged and not result["lost"] and not files else 1


if __name__ == "__main__":
    sys.exit(main())
