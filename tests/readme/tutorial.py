#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the programs of docs/tutorial.md one after the other, as its reader does, and compares what each prints with
the block of text behind it: tutorial.py PAGE.md PROGRAM... (one for each block of C++, in the order of the page).

The experiment of an earlier run is renamed, so that each run begins without one."""
import os
import re
import subprocess
import sys
import tempfile
import time

import mlflow

page, *programs = sys.argv[1:]
blocks = re.findall(r"^```(cpp|text)\n(.*?)^```$", open(page).read(), re.MULTILINE | re.DOTALL)
expected = [text for before, (kind, text) in zip(blocks, blocks[1:]) if before[0] == "cpp" and kind == "text"]
if len(expected) != len(programs) or not programs:
    sys.exit(f"{len(expected)} blocks of C++ with an output in {page}, {len(programs)} programs")

client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
if earlier := client.get_experiment_by_name("tutorial"):
    client.rename_experiment(earlier.experiment_id, f"tutorial {time.time_ns()}")
with tempfile.TemporaryDirectory() as folder:
    for program, text in zip(programs, expected):
        done = subprocess.run([program], cwd=folder, capture_output=True, text=True, timeout=120)
        if done.returncode or done.stdout != text:
            sys.exit(f"{program} ended with {done.returncode} and printed\n{done.stdout}{done.stderr}\nThe page says\n{text}")
    lines = open(f"{folder}/traces.jsonl").read().splitlines()
    if len(lines) != 1 or "How do I reset my password?" not in lines[0]:
        sys.exit(f"traces.jsonl is not what the page promises: {lines}")
print(f"{len(programs)} programs print what {page} says")
