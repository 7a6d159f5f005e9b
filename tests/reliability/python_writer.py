# SPDX-License-Identifier: Apache-2.0
"""What spool_writer.cpp does, by MLflow's own client as it is installed:

    python_writer.py NAME TRACKING_URI EXPERIMENT MS
"""

import os
import random
import sys
import threading
import time

import mlflow

NAME, URI, EXPERIMENT, MILLISECONDS = sys.argv[1:]


def record(thread: int) -> None:
    chance = random.Random(os.getpid() * 4 + thread)
    for i in range(sys.maxsize):
        number = f"{NAME}-{thread}-{i}"
        with mlflow.start_span("turn") as span:
            identity = {"mlflow.trace.user": "user-1042", "mlflow.trace.session": f"session-{NAME}"}
            mlflow.update_current_trace(metadata=identity, tags={"number": number})
            span.set_inputs("x" * chance.randrange(4_000))
            with mlflow.start_span("step"):
                pass
        os.write(sys.stdout.fileno(), f"a {number}\n".encode())
        time.sleep(chance.uniform(0, int(MILLISECONDS) / 1000))


mlflow.set_tracking_uri(URI)
mlflow.set_experiment(EXPERIMENT)
for number in range(4):
    threading.Thread(target=record, args=(number,)).start()
