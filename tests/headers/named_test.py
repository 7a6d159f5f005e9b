# SPDX-License-Identifier: Apache-2.0
"""Each public header has a test of its name: include/mlflow/trace/ROOM/NAME.hpp has tests/ROOM/NAME_test.cpp. Public is a
header with `///` documentation outside detail/."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include/mlflow/trace"
TESTS = ROOT / "tests"

# Headers that are tested through another, and the test that does it. They have no behaviour of their own to show (a list of
# options, an umbrella, a concept), or none without the header that uses them.
THROUGH = {
    "bare_metal.hpp": "platform/bare_metal_test.cpp",
    "client.hpp": "client/client_test.cpp",
    "client/erasure.hpp": "mlflow/forget.py",
    "client/user_remains.hpp": "mlflow/forget.py",
    "client/zstd_file.hpp": "client/trace_file_test.cpp",
    "compiled.hpp": "package/user/compiled.cpp",
    "concepts.hpp": "testing/exporter_conformance_test.cpp",
    "config.hpp": "headers/first.cpp",
    "context/coroutine_context.hpp": "context/coroutine_test.cpp",
    "context/explicit.hpp": "spans/tracer_test.cpp",
    "context/global.hpp": "platform/bare_metal_test.cpp",
    "context/slot.hpp": "context/orders_test.cpp",
    "context/thread_local.hpp": "context/orders_test.cpp",
    "core/export_progress.hpp": "exporters/mlflow_test.cpp",
    "core/export_result.hpp": "http/outcome_test.cpp",
    "core/span_data.hpp": "core/trace_batch_test.cpp",
    "core/trace_data.hpp": "core/trace_batch_test.cpp",
    "declared.hpp": "headers/forward.cpp",
    "device/record_sink.hpp": "device/record_test.cpp",
    "exporters/otlp_metrics_worker.hpp": "exporters/otlp_metrics_test.cpp",
    "fwd.hpp": "headers/forward.cpp",
    "memory/machine.hpp": "memory/pool_test.cpp",
    "pipeline/batch_options.hpp": "pipeline/batch_test.cpp",
    "spans/attachment.hpp": "mlflow/chat_values_test.cpp",
    "spans/chat_tools.hpp": "spans/chat_test.cpp",
    "spans/span.hpp": "spans/span_interface_test.cpp",
    "spans/span_operations.hpp": "spans/span_interface_test.cpp",
    "spans/start_arguments.hpp": "spans/tracer_test.cpp",
    "spans/tracer_off.hpp": "spans/span_interface_test.cpp",
    "spans/tracer_options.hpp": "spans/tracer_test.cpp",
    "spool/options.hpp": "spool/spool_test.cpp",
    "static_memory.hpp": "static_memory/tracer_test.cpp",
    "static_memory/platform.hpp": "static_memory/tracer_test.cpp",
    "static_memory/record_exporter.hpp": "static_memory/tracer_test.cpp",
    "static_memory/span.hpp": "static_memory/tracer_test.cpp",
    "to_mlflow.hpp": "pipeline/options_test.cpp",
    "transports/beast_options.hpp": "transports/beast_test.cpp",
    "transports/beast_transport.hpp": "transports/beast_test.cpp",
    "wire/otlp_request.hpp": "exporters/otlp_test.cpp",
}


def is_public(header: pathlib.Path) -> bool:
    return header.parent != INCLUDE / "detail" and bool(re.search(r"^\s*///", header.read_text(), re.MULTILINE))


class Named(unittest.TestCase):
    def setUp(self):
        headers = [header.relative_to(INCLUDE) for header in sorted(INCLUDE.rglob("*.hpp")) if is_public(header)]
        self.assertGreater(len(headers), 100, "the headers were not found")
        self.own = {str(each): (TESTS / each).with_name(f"{each.stem}_test.cpp").exists() for each in headers}

    def test_each_public_header_has_a_test_of_its_name(self):
        without = [header for header, has_own in self.own.items() if not has_own and header not in THROUGH]
        self.assertEqual(without, [])

    def test_what_is_tested_through_another_is_there_and_has_no_test_of_its_own(self):
        for header, test in THROUGH.items():
            with self.subTest(header):
                self.assertIn(header, self.own, "no public header")
                self.assertFalse(self.own[header], "has a test of its name by now")
                self.assertTrue((TESTS / test).is_file(), f"no {test}")


if __name__ == "__main__":
    unittest.main()
