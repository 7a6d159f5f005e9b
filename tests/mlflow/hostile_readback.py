# SPDX-License-Identifier: Apache-2.0
"""What hostile_test.cpp recorded is stored as it was said, once, and can be read; what was refused is nowhere."""

import os

os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"  # what cannot be read once cannot be read five times

import _reading  # noqa: E402
from _reading import check, check_same, client  # noqa: E402

told = _reading.expected()
found = _reading.without_duplicates(_reading.traces_of(_reading.experiment_id(told["experiment"])), "traces")

for trace_id, trace in told["traces"].items():
    where = f"{trace['name']} {trace_id}"
    check(trace_id in found, f"{where} is not stored")
    if trace_id not in found:
        continue
    stored = found[trace_id]
    _reading.check_metadata(stored.info, trace, where)
    check_same(stored.info.token_usage, trace.get("usage"), f"{where}: token usage")
    spans = {span.span_id: span for span in stored.data.spans}
    check(len(spans) == len(stored.data.spans), f"{where}: a span is there twice")
    check_same(sorted(spans), sorted(trace["spans"]), f"{where}: spans")
    for span_id in spans.keys() & trace["spans"].keys():
        span, said = spans[span_id], trace["spans"][span_id]
        check_same(span.parent_id, said["parent"], f"{where}: parent of {span.name}")
        check_same([event.name for event in span.events], [event["name"] for event in said["events"]], f"{where}: events")

for what, trace_ids in told["poison"].items():
    for trace_id in trace_ids:
        try:
            stored = client.get_trace(trace_id, display=False)
        except Exception as error:  # whatever the client comes to
            check(False, f"poison {what!r}: {trace_id} cannot be read: {str(error)[:150]}")
            continue
        user = stored.info.trace_metadata.get("mlflow.trace.user")
        check_same(user, "user-1042", f"poison {what!r}: user")
        check(bool(stored.data.spans), f"poison {what!r}: no spans")

for trace in found.values():
    for key in ("mlflow.trace.user", "mlflow.trace.session"):
        value = trace.info.trace_metadata.get(key)
        check(value not in ("None", "null", "", "user-2210", "session-8"), f"{trace.info.trace_id}: {key} is {value!r}")

for name, experiment_id in told["experiments"].items():
    experiment = client.get_experiment_by_name(name)
    check(experiment is not None, f"no experiment {name!r}")
    check_same(experiment and experiment.experiment_id, experiment_id, f"experiment {name!r}")
_reading.finish()
