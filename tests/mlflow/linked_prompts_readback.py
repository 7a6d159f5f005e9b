# SPDX-License-Identifier: Apache-2.0
"""The traces of linked_prompts_test.cpp name the versions of the prompt, and MLflow finds them by these."""

import json

import _reading

told = _reading.expected()
prompt = told["prompt"]
for template in ("Hello {{name}}", "Good evening {{name}}"):
    _reading.client.register_prompt(prompt, template)
experiment = _reading.experiment_id(told["experiment"])
stored = {trace.info.trace_id: trace for trace in _reading.traces_of(experiment)}
versions = {"none": [], "first": [1], "both": [1, 2]}
for part, used in versions.items():
    listed = json.loads(stored[told[part]].info.tags.get("mlflow.linkedPrompts", "[]"))
    _reading.check_same(listed, [{"name": prompt, "version": str(each)} for each in used], f"{part}: tag")
for version in (1, 2):
    found = _reading.traces_of(experiment, f'prompt = "{prompt}/{version}"')
    wanted = sorted(told[part] for part, used in versions.items() if version in used)
    _reading.check_same(sorted(trace.info.trace_id for trace in found), wanted, f"traces of version {version}")
_reading.finish()
