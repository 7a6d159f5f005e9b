# SPDX-License-Identifier: Apache-2.0
"""The examples in the comments of the headers compile: examples_test.py COMPILER [INCLUDE_FOLDER]

An example is an indented block of a `///` comment. Each becomes a namespace or a function of its own in one translation
unit, which includes all headers that have examples. What an example leaves out, `…`, stands for a value, a body or
members. Names that it uses and does not declare are those of PRELUDE. Errors have the line of the header.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILER = "g++"
INCLUDE = ROOT / "include"

# Examples that are not compiled, as (header, first line): reason.
LEFT_OUT: dict[tuple[str, str], str] = {}

PRELUDE = """\
#include <coroutine>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;

// what the application has
using schema = mt::schema<mt::required<mt::user>, mt::optional<mt::session>>;
extern mt::tracer<schema> tracer;
extern mt::tracer<schema>::trace trace;
extern mt::tracer<schema>::span span;
extern const mt::user user;
extern const std::string name, token, key, header;
extern const std::vector<mt::message> messages;
extern const std::vector<mt::tool_definition> tools;
extern const std::vector<mt::http_header> request;
std::string read_file(const char* path);
using request_identity = mt::http_headers<mt::header<"X-User-ID", mt::user>>;
extern const request_identity identity;

// what it wrote itself, for the conformance suites
using my_context = mt::coroutine_context;
using my_exporter = mt::json_lines_exporter;
template <class Exporter>
struct my_decorator : mt::exporter_adaptor<Exporter> {
    struct options {
        typename mt::exporter_adaptor<Exporter>::inner_options exporter{};
        std::string name{};
    };
    explicit my_decorator(options chosen) : mt::exporter_adaptor<Exporter>(std::move(chosen.exporter)) {}
};
void run_all(std::vector<mt::conformance_task>& tasks);
struct my_transport : mt::memory_transport {
    explicit my_transport(mt::endpoint server) : mt::memory_transport(std::move(server), {}) {}
};
extern const my_exporter::options options;
#define ADD_FAILURE() std::cerr

// what an example leaves out
struct anything {
    template <class T>
    operator T() const;
};
"""
ALSO_INCLUDED = ["mlflow/trace.hpp", "mlflow/trace/context/coroutine.hpp", "mlflow/trace/exporters/otlp.hpp",
                 "mlflow/trace/to_mlflow.hpp",                 "mlflow/trace/transports/beast_transport.hpp", "mlflow/trace/transports/hmac_seal.hpp",
                 "mlflow/trace/transports/memory.hpp"]

LINE = re.compile(r"^\s*///(?: {5}(.*)| *)$")
TYPE = re.compile(r"(template|class|struct|enum)\b")
DECLARATION = re.compile(r"(using|constexpr)\b| |[\w:]+ \w+\(.*\);$|$")


def examples(header: pathlib.Path):
    """(number of the first line, lines) of each."""
    block, first = [], 0
    for number, line in enumerate([*header.read_text().splitlines(), ""], 1):
        match = LINE.match(line)
        if match and (block or match[1]):
            first = first if block else number
            block.append(match[1] or "")
        elif block:
            while not block[-1]:
                block.pop()
            yield first, block
            block = []


def filled(line: str) -> str:
    """With something in place of what it leaves out."""
    line = line.replace("{ … }", "{}").replace("(…)", "(anything())")
    return re.sub(r"^\s*…$", "", line)


def wrapped(number: int, lines: list[str]) -> tuple[list[str], list[str]]:
    """Code before and behind the lines that makes a translation unit of them, and a change of the lines themselves."""
    code = [filled(line) for line in lines]
    if code[0].startswith("."):  # one option a line
        code = [f"mt::mlflow_exporter<mt::beast_transport>::options options_{at}{{{line}}};" for at, line in enumerate(code)]
    if re.search(r"^\s+…$", lines[-1]) and lines[0].endswith("{"):  # members of a class are left out at its end
        code.append("};")
    if TYPE.match(code[0]) or all(DECLARATION.match(line) for line in code):
        return [f"namespace example_{number} {{"], code + ["}"]
    if not code[-1].split("//")[0].rstrip().endswith((";", "}")) or code[-1].endswith("})"):
        code[-1] += ";"
    return [f"void example_{number}() {{"], code + ["}"]


class Examples(unittest.TestCase):
    def setUp(self):
        self.found = {}
        for header in sorted(INCLUDE.rglob("*.hpp")):
            for number, lines in examples(header):
                self.found[header.relative_to(INCLUDE).as_posix(), lines[0]] = number, lines
        self.assertGreater(len(self.found), 15, "the examples were not found")

    def test_each_example_compiles(self):
        names = {header for header, _ in self.found} | set(ALSO_INCLUDED)
        unit = [f"#include <{header}>" for header in sorted(names)] + [PRELUDE]
        count = 0
        for (header, first), (number, lines) in self.found.items():
            if (header, first) in LEFT_OUT:
                continue
            count += 1
            before, code = wrapped(count, lines)
            unit += [*before, f'#line {number} "{INCLUDE / header}"', *code]
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "examples.cpp"
            source.write_text("\n".join(unit) + "\n")
            done = subprocess.run(
                [COMPILER, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wno-unused", "-Wno-unused-parameter", "-Werror", "-pthread",
                 "-DBOOST_ASIO_HAS_CO_AWAIT", "-DBOOST_ASIO_HAS_STD_COROUTINE", f"-I{INCLUDE}", str(source)],
                capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_is_left_out_is_there(self):
        for example in LEFT_OUT:
            self.assertIn(example, self.found, "no such example")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        INCLUDE = pathlib.Path(sys.argv.pop(2)).resolve()
    if len(sys.argv) > 1:
        COMPILER = sys.argv.pop(1)
    unittest.main()
