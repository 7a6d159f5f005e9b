# SPDX-License-Identifier: Apache-2.0
"""The gen_ai.* names that the library writes are those of OpenTelemetry's registry, as its Python package has them."""

import pathlib
import re
import unittest

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

INCLUDE = pathlib.Path(__file__).resolve().parents[2] / "include" / "mlflow" / "trace"
OLD = {"gen_ai.completion", "gen_ai.prompt", "gen_ai.system", "gen_ai.usage.completion_tokens", "gen_ai.usage.prompt_tokens"}


class GenAiNames(unittest.TestCase):
    def test_are_in_the_registry_and_current(self):
        registered = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
        written = set(re.findall(r'"(gen_ai\.[a-z_.]+[a-z])"', (INCLUDE / "exporters" / "gen_ai.hpp").read_text()))
        self.assertGreater(len(written), 10)
        self.assertEqual(written - (registered - OLD), set())

    def test_operations_are_in_the_registry(self):
        operations = {one.value for one in gen_ai_attributes.GenAiOperationNameValues}
        text = (INCLUDE / "exporters" / "gen_ai.hpp").read_text()
        written = {theirs for theirs in re.findall(r'\{"[A-Z_]+", "([a-z_]+)"\}', text)}
        self.assertGreater(len(written), 5)
        self.assertEqual(written - operations, set())


unittest.main()
