# SPDX-License-Identifier: Apache-2.0
"""What including single_include/mlflow/trace.hpp costs, and that it compiles without warnings and alone.

    single_header_test.py COMPILER      (clang-14 and clang-19 are tried as well where they are installed)
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SINGLE_INCLUDE = ROOT / "single_include"
MOST_LINES = 44_500
FORBIDDEN = {"iostream", "regex", "future", "filesystem", "random", "functional"}
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Werror".split()
# Boost 1.74 finds coroutines in g++ only.
COROUTINES = ["-DBOOST_ASIO_HAS_CO_AWAIT=1", "-DBOOST_ASIO_HAS_STD_COROUTINE=1"]
COMPILER = sys.argv.pop()


class SingleHeader(unittest.TestCase):
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


if __name__ == "__main__":
    unittest.main()
