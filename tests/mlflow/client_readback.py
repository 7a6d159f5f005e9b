# SPDX-License-Identifier: Apache-2.0
"""What the client wrote about a trace, read back by MLflow's own client."""

import json

import mlflow
from _reading import check, check_same, expected, finish

told = expected()
info = mlflow.get_trace(told["trace_id"]).info
found = {(one.name, one.valid is not False): one for one in info.assessments}
values = {key: one.value for key, one in found.items()}
said = {("helpful", False): True, ("helpful", True): False, ("fluent", True): 0.75, ("answer", True): {"text": "no"}}
check_same(values.pop(("happy", True), None), 5.0, "feedback of the session")
check(values == said, f"assessments: {values}")
for one in found.values():
    check_same((one.source.source_type, one.source.source_id), ("HUMAN", "user-1042"), f"{one.name}: source")
check_same(found["helpful", False].rationale, "kind", "rationale")
check_same(found["helpful", True].overrides, found["helpful", False].assessment_id, "overrides")
check_same(found["fluent", True].rationale, "second thoughts", "changed rationale")
check_same(found["fluent", True].span_id, told["span_id"], "feedback of a span")
check_same(found["happy", True].metadata.get("mlflow.trace.session"), "of o'brien-1", "session of feedback")
check_same({key: value for key, value in info.tags.items() if not key.startswith("mlflow.")}, {"colour": "green"}, "tags")
hierarchy = mlflow.get_experiment(info.experiment_id).tags.get("mlflow.experiment.sessionHierarchy", "null")
check_same(json.loads(hierarchy), {"version": 1, "levels": [{"name": "trip"}, {"name": "épisode"}]}, "levels of sessions")
finish()
