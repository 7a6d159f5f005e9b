# SPDX-License-Identifier: Apache-2.0
"""What delivery_writer.cpp does, by MLflow's own client as it is installed:

    python_delivery.py TRACKING_URI EXPERIMENT TRACES RATE
"""

import json
import sys
import time

import mlflow

URI, EXPERIMENT, TRACES, RATE = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])


def record(number: int) -> None:
    with mlflow.start_span("turn") as span:
        identity = {"mlflow.trace.user": "user-1042", "mlflow.trace.session": "session-7"}
        mlflow.update_current_trace(metadata=identity, tags={"number": f"trace-{number}"})
        span.set_inputs("x" * 100)
        with mlflow.start_span("step"):
            pass


mlflow.set_tracking_uri(URI)
mlflow.set_experiment(EXPERIMENT)
record(0)
mlflow.flush_trace_async_logging()
print(json.dumps({"ready": True}), flush=True)
sys.stdin.readline()
begun = time.monotonic()
for number in range(1, TRACES):
    record(number)
    if RATE:
        time.sleep(max(0, begun + number / RATE - time.monotonic()))
seconds = time.monotonic() - begun
mlflow.flush_trace_async_logging()
print(json.dumps({"account": {"started": 2 * TRACES}, "recorded_in_seconds": seconds}), flush=True)
