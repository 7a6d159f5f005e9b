# SPDX-License-Identifier: Apache-2.0
"""What scripts/amalgamate.py writes, and what it refuses, on small libraries of its own."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/amalgamate.py"
HEAD = "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n"
LIBRARY = {
    "mlflow/trace/config.hpp": HEAD + '#define MLFLOW_TRACE_VERSION "1.2.3"\n',
    "mlflow/trace/a.hpp": HEAD + "#include <mlflow/trace/config.hpp>\n\n#include <vector>\n\nint a();\n",
    "mlflow/trace/b.hpp": HEAD + "#include <mlflow/trace/a.hpp>\n\n#include <array>\n#include <vector>\n\nint b();\n",
    "mlflow/trace.hpp": HEAD + "#include <mlflow/trace/b.hpp>\n#include <mlflow/trace/a.hpp>\n",
    "mlflow/trace/beast_detail.hpp": HEAD + "#include <boost/beast.hpp>\nint detail();\n",
    "mlflow/trace/transports/beast.hpp": HEAD
    + "#include <mlflow/trace/a.hpp>\n#include <mlflow/trace/beast_detail.hpp>\n#include <utility>\nint beast();\n",
    "mlflow/trace/context/asio.hpp": HEAD + "#include <mlflow/trace/a.hpp>\n#include <boost/asio.hpp>\nint asio();\n",
}


class Amalgamate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def run_on(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess:
        names = {"a": "mlflow/trace/a.hpp", "umbrella": "mlflow/trace.hpp"}
        for name, text in (LIBRARY | {names[key]: text for key, text in changed.items()}).items():
            path = self.root / "include" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        command = [sys.executable, str(SCRIPT), "--root", str(self.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def written(self, name: str) -> str:
        return (self.root / "single_include/mlflow" / name).read_text()

    def test_writes_each_header_once_where_it_is_first_included(self):
        self.assertEqual(self.run_on().returncode, 0)
        text = self.written("trace.hpp")
        marks = [line[8:] for line in text.splitlines() if line.startswith("// ---- ")]
        self.assertEqual(
            marks, ["mlflow/trace/config.hpp", "mlflow/trace/a.hpp", "mlflow/trace/b.hpp", "mlflow/trace.hpp"]
        )
        self.assertLess(text.index("#include <array>"), text.index("#include <vector>"))
        self.assertEqual(text.count("#include <vector>"), 1)
        self.assertEqual(text.count("#pragma once"), 1)
        self.assertNotIn("#include <mlflow/", text)
        self.assertIn("mlflow_trace 1.2.3", text)
        self.assertIn("#define MLFLOW_TRACE_SINGLE_HEADER\n", text)

    def test_the_transport_includes_the_library_and_adds_the_rest(self):
        self.assertEqual(self.run_on().returncode, 0)
        text = self.written("trace_beast.hpp")
        self.assertLess(text.index('#include "trace.hpp"'), text.index("#include <utility>"))
        self.assertLess(text.index("#include <utility>"), text.index("#include <boost/beast.hpp>"))
        self.assertIn("int detail();", text)
        self.assertNotIn("int a();", text)

    def test_an_include_of_the_standard_library_within_a_conditional_stays_there(self):
        self.assertEqual(self.run_on(a=HEAD + "#if X\n#include <span>\n#endif\nint a();\n").returncode, 0)
        self.assertIn("#if X\n#include <span>\n#endif\n", self.written("trace.hpp"))

    def test_check_tells_a_stale_file_from_a_good_one(self):
        self.assertEqual(self.run_on("--check").returncode, 1)
        self.assertEqual(self.run_on().returncode, 0)
        self.assertEqual(self.run_on("--check").returncode, 0)
        stale = self.run_on("--check", a=HEAD + "int changed();\n")
        self.assertEqual(stale.returncode, 1)
        self.assertIn("+int changed();", stale.stdout)
        self.assertIn("int a();", self.written("trace.hpp"))

    def test_refuses_what_it_cannot_follow(self):
        cases = {
            "a local include within a conditional": "#if X\n#include <mlflow/trace/config.hpp>\n#endif\n",
            "quotes": '#include "config.hpp"\n',
            "quotes for the standard library": '#include "vector"\n',
            "a macro": "#include HEADER\n",
            "another spelling": "#  include <vector>\n",
            "a header that is not there": "#include <mlflow/trace/none.hpp>\n",
            "a cycle": "#include <mlflow/trace/b.hpp>\n",
            "itself": "#include <mlflow/trace/a.hpp>\n",
            "another library": "#include <boost/asio.hpp>\n",
            "another library in C": "#include <zlib.h>\n",
            "a local include after code": "int x();\n#include <mlflow/trace/config.hpp>\n",
            "an #if that stays open": "#if X\n",
            "an #endif too many": "#endif\n",
            "a second #pragma once in a conditional": "#if X\n#pragma once\n#endif\n",
        }
        for name, text in cases.items():
            with self.subTest(name):
                done = self.run_on(a=HEAD + text)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, r"^include/mlflow/trace/a\.hpp:\d+: ")
        self.assertFalse((self.root / "single_include").exists())
        self.assertIn("a.hpp:1: has no #pragma once", self.run_on(a="int a();\n").stderr)


if __name__ == "__main__":
    unittest.main()
