# SPDX-License-Identifier: Apache-2.0
"""What including single_include/mlflow/trace.hpp costs, and that it compiles without warnings and alone; and the same
of include/mlflow/trace/fwd.hpp.

    single_header_test.py COMPILER      (clang-14 and clang-19 are tried as well where they are installed)
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
SINGLE_INCLUDE = ROOT / "single_include"
MOST_LINES = 45_000
MOST_LINES_FORWARD = 1_500
FORBIDDEN = {"iostream", "regex", "future", "filesystem", "random", "functional"}
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Werror".split()
# Boost 1.74 finds coroutines in g++ only.
COROUTINES = ["-DBOOST_ASIO_HAS_CO_AWAIT=1", "-DBOOST_ASIO_HAS_STD_COROUTINE=1"]
COMPILER = sys.argv.pop()


class Preprocessed(unittest.TestCase):
    def compile(self, compiler: str, *arguments: str, header: str = "mlflow/trace.hpp", include=SINGLE_INCLUDE) -> str:
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder, "unit.cpp")
            unit.write_text(f"#include <{header}>\n")
            command = [compiler, "-std=c++20", f"-I{include}", *arguments, str(unit)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

    def compilers(self) -> list[str]:
        return [COMPILER, *filter(shutil.which, ["clang++-14", "clang++-19"])]


class SingleHeader(Preprocessed):
    def test_keeps_its_budget_of_preprocessed_lines(self):
        lines = self.compile(COMPILER, "-E", "-P").count("\n")
        print(f"{lines} preprocessed lines")
        self.assertLessEqual(lines, MOST_LINES)

    def test_reaches_no_forbidden_header_even_indirectly(self):
        reached = {pathlib.Path(word).name for word in self.compile(COMPILER, "-M").split()}
        self.assertIn("trace.hpp", reached)
        self.assertEqual(reached & FORBIDDEN, set())

    def test_compiles_alone_without_warnings(self):
        for compiler in self.compilers():
            with self.subTest(compiler):
                self.compile(compiler, "-fsyntax-only", *WARNINGS)

    def test_compiles_alone_without_exceptions_and_rtti(self):
        for compiler in self.compilers():
            with self.subTest(compiler):
                self.compile(compiler, "-fsyntax-only", "-fno-exceptions", "-fno-rtti", *WARNINGS)

    def test_what_needs_boost_compiles_from_a_folder_that_holds_nothing_else(self):
        for header in ("trace_beast.hpp", "trace_asio.hpp"):
            with tempfile.TemporaryDirectory() as folder:
                for name in ("trace.hpp", header):
                    shutil.copy(SINGLE_INCLUDE / "mlflow" / name, folder)
                for compiler in self.compilers():
                    with self.subTest(compiler, header=header):
                        self.compile(compiler, "-fsyntax-only", *WARNINGS, *COROUTINES, header=header, include=folder)


class ForwardHeader(Preprocessed):
    HEADER = "mlflow/trace/fwd.hpp"

    def test_keeps_its_budget_of_preprocessed_lines(self):
        lines = self.compile(COMPILER, "-E", "-P", header=self.HEADER, include=INCLUDE).count("\n")
        print(f"{lines} preprocessed lines")
        self.assertLessEqual(lines, MOST_LINES_FORWARD)

    def test_compiles_alone_without_warnings(self):
        for compiler in self.compilers():
            with self.subTest(compiler):
                self.compile(compiler, "-fsyntax-only", *WARNINGS, header=self.HEADER, include=INCLUDE)

    def test_declares_nothing_that_no_header_defines(self):
        headers = "\n".join(path.read_text() for path in INCLUDE.rglob("*.hpp"))
        texts = (INCLUDE / self.HEADER).read_text() + (INCLUDE / "mlflow/trace/declared.hpp").read_text()
        declared = re.findall(
            r"^(enum class|class|struct) (\w+)(?: : [\w:]+)?;$", texts, re.MULTILINE
        )
        self.assertGreater(len(declared), 100)
        for kind, name in declared:
            with self.subTest(name):
                self.assertRegex(headers, rf"(?m)^{kind} (?:\[\[\w+\]\] )?{name}\b[^;(]*\{{")


if __name__ == "__main__":
    unittest.main()
