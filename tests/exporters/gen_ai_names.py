# SPDX-License-Identifier: Apache-2.0
"""The gen_ai.* names that the library writes are those of OpenTelemetry's registry, as its Python package has them."""

import pathlib
import re
import unittest

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

INCLUDE = pathlib.Path(__file__).resolve().parents[2] / "include" / "mlflow" / "trace"
OLD = {"gen_ai.completion", "gen_ai.prompt", "gen_ai.system", "gen_ai.usage.completion_tokens", "gen_ai.usage.prompt_tokens"}


class GenAiNames(unittest.TestCase):
    def test_are_in_the_registry_and_current(self):
        registered = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
        written = set(re.findall(r'"(gen_ai\.[a-z_.]+[a-z])"', (INCLUDE / "exporters" / "gen_ai.hpp").read_text()))
        self.assertGreater(len(written), 10)
        self.assertEqual(written - (registered - OLD), set())

    def test_attributes_of_metrics_are_in_the_registry_and_current(self):
        registered = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
        text = (INCLUDE / "exporters" / "otlp_metrics_worker.hpp").read_text()
        written = set(re.findall(r'"(gen_ai\.[a-z_.]+[a-z])"', text))
        self.assertGreater(len(written), 6)
        self.assertEqual(written - (registered - OLD), set())

    def test_metrics_are_in_the_registry(self):
        registered = {value for name, value in vars(gen_ai_metrics).items() if name.startswith("GEN_AI_")}
        text = (INCLUDE / "exporters" / "otlp_measures.hpp").read_text()
        written = set(re.findall(r'\{"(gen_ai\.[a-z_.]+)", "(?:s|\{token\})"', text))
        younger = {"gen_ai.invoke_agent.duration", "gen_ai.execute_tool.duration", "gen_ai.workflow.duration"}
        self.assertEqual(len(written), 6)
        self.assertEqual(written - registered, younger, "what the package does not have yet")

    def test_operations_are_in_the_registry(self):
        operations = {one.value for one in gen_ai_attributes.GenAiOperationNameValues}
        text = (INCLUDE / "exporters" / "gen_ai.hpp").read_text()
        written = {theirs for theirs in re.findall(r'\{"[A-Z_]+", "([a-z_]+)"\}', text)}
        self.assertGreater(len(written), 5)
        self.assertEqual(written - operations, set())


unittest.main()
