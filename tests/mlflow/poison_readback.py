# SPDX-License-Identifier: Apache-2.0
"""Of the traces of poison_test.cpp, all spans are stored but those that MLflow does not take."""

import _reading

told = _reading.expected()
found = _reading.without_duplicates(_reading.traces_of(_reading.experiment_id(told["experiment"])), "traces")
right = {trace: sorted(spans) for trace, spans in told["spans"].items() if spans}
_reading.check_same(sorted(found), sorted(right), "traces")
for trace_id, spans in right.items():
    if trace_id not in found:
        continue
    stored = found[trace_id]
    _reading.check_same(sorted(span.span_id for span in stored.data.spans), spans, f"{trace_id}: spans")
    for part, value in (("user", "user-1042"), ("session", "session-7")):
        _reading.check_same(stored.info.trace_metadata.get(f"mlflow.trace.{part}"), value, f"{trace_id}: {part}")
_reading.finish()
