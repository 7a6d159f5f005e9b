# SPDX-License-Identifier: Apache-2.0
"""Follows docs/firmware.md: its files are built by its commands, its firmware runs in the emulator and sends its trace to
examples/device_gateway, which delivers to a real server, and its search prints what the page shows."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

from _reading import check, check_same, finish

ROOT = pathlib.Path(__file__).resolve().parents[2]
GATEWAY = os.environ["MLFLOW_TRACE_DEVICE_GATEWAY"]
PAGE = (ROOT / "docs/firmware.md").read_text()
SERVER = os.environ["MLFLOW_TRACKING_URI"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block(language: str, word: str) -> str:
    (found,) = (text for text in blocks(language) if word in text)
    return found


def run(command: str, folder: pathlib.Path, **variables: str) -> str:
    done = subprocess.run(
        ["sh", "-ec", command], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, timeout=200
    )
    if done.returncode != 0:
        sys.exit(f"{command}\nfailed with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def main() -> None:
    with tempfile.TemporaryDirectory() as above:
        folder = pathlib.Path(above)
        files = re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)
        for name, text in files:
            (folder / name).write_text(text)
        check_same(len(files), 6, "files on the page")
        built = run(block("sh", "cmake --build"), folder, MLFLOW_TRACE=str(ROOT))
        check("warning" not in built, f"a warning: {built}")
        print(built.splitlines()[-1])

        # The name of the experiment is one of its own, so that a second run on the same server finds one trace.
        name = f"firmware-{time.time_ns()}"
        run_gateway = [GATEWAY, "spool", "--listen", "127.0.0.1:0"]
        check(" ".join(run_gateway[1:3]) in block("sh", "./device_gateway"), "the gateway's arguments are not on the page")
        gateway = subprocess.Popen(
            run_gateway,
            cwd=folder,
            env={**os.environ, "MLFLOW_EXPERIMENT_NAME": name},
            stdout=subprocess.PIPE,
            text=True,
        )
        port = gateway.stdout.readline().split()[1]
        run(block("sh", "qemu-system-arm -machine").replace("7070", port), folder)
        gateway.send_signal(signal.SIGINT)
        print(gateway.communicate(timeout=60)[0])
        check_same(gateway.returncode, 0, "exit status of the gateway")

        search = folder / "search.py"
        text = block("python", "search_traces")
        search.write_text(text.replace("http://127.0.0.1:5000", SERVER).replace('"firmware"', f'"{name}"'))
        printed = run(f"{sys.executable} search.py", folder)
        shown = blocks("text")[-1]
        # The emulator's clock goes on while the emulator waits for the processor.
        without_times = re.compile(r"\d+ ms")
        check_same(without_times.sub("ms", printed), without_times.sub("ms", shown), "what the search prints")
        for found, said in zip(without_times.findall(printed), without_times.findall(shown), strict=True):
            check(int(said[:-3]) <= int(found[:-3]) <= int(said[:-3]) + 2_000, f"{found}, where the page shows {said}")
    finish()


if __name__ == "__main__":
    main()
