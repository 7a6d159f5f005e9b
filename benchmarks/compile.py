#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the library costs to compile and link, beside opentelemetry-cpp.

    python benchmarks/compile.py [--compiler g++] [--opentelemetry DIR] [--repetitions 3] [--output FILE.json] [--page FILE.md]

DIR is where opentelemetry-cpp is installed. Times are processor seconds of one file, the least of all repetitions,
measured in turn. Sizes are of the program, optimised for size and stripped, linked dynamically. --page fills in the
part `compile` of a page. Needs the headers of Boost and OpenSSL.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

from report import fill_in, markdown

INCLUDE = pathlib.Path(__file__).resolve().parents[1] / "include"

EMPTY = "int main() {}\n"
INCLUDE_ALONE = "#include <mlflow/trace.hpp>\nint main() {}\n"
HELLO = """#include <mlflow/trace.hpp>
namespace mt = mlflow::trace;
int main() {
    mt::tracer<> tracer;
    auto trace = tracer.start_trace("hello", mt::user{"user-1042"}, mt::session{"session-7"});
    trace.inputs("hello").outputs("world");
}
"""
DELIVERED = """#include <mlflow/trace.hpp>
#include <mlflow/trace/{header}.hpp>
namespace mt = mlflow::trace;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
int main() {{
    mt::tracer<schema, mt::thread_local_context, mt::to_mlflow<mt::beast_transport>> tracer;
    auto trace = tracer.start_trace("hello", mt::user{{"user-1042"}}, mt::session{{"session-7"}});
    trace.inputs("hello").outputs("world");
}}
"""
PEER = """#include <opentelemetry/trace/provider.h>
#include <opentelemetry/trace/scope.h>
int main() {
    auto tracer = opentelemetry::trace::Provider::GetTracerProvider()->GetTracer("hello");
    auto span = tracer->StartSpan("hello");
    auto scope = tracer->WithActiveSpan(span);
    span->SetAttribute("user.id", "user-1042");
    span->SetAttribute("session.id", "session-7");
    span->End();
}
"""
LIBRARIES = ["-lssl", "-lcrypto", "-pthread"]
ROWS = [  # name, source, whether it is the peer's, target
    ("opentelemetry-cpp, its interface alone", PEER, True, ""),
    ("`#include <mlflow/trace.hpp>`", INCLUDE_ALONE, False, ""),
    ("a span to a file", HELLO, False, "≤ 0.7 × the interface"),
    ("to MLflow over Boost.Beast", DELIVERED.format(header="transports/beast"), False, "≤ 12 s"),
    ("the same with `compiled.hpp`", DELIVERED.format(header="compiled"), False, "about 1 s"),
    ("`compiled.cpp`, once", None, False, ""),
]
SIZES = [
    ("an empty program", EMPTY, None, ""),
    ("a span to a file", HELLO, None, "≤ 40 KB"),
    ("to MLflow over Boost.Beast", DELIVERED.format(header="transports/beast"), LIBRARIES, "≤ 350 KB"),
]


def cpu_seconds(command: list[str]) -> float:
    before = os.times()
    subprocess.run(command, check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--opentelemetry", type=pathlib.Path)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rows = [row for row in ROWS if given.opentelemetry or not row[2]]
        commands = []
        for number, (_, source, is_peers, _) in enumerate(rows):
            path = folder / f"{number}.cpp"
            path.write_text(source or (INCLUDE / "mlflow/trace/compiled.cpp").read_text())
            include = given.opentelemetry / "include" if is_peers else INCLUDE
            commands.append([given.compiler, "-std=c++20", f"-I{include}", "-c", str(path), "-o", str(folder / "object")])
        found = {(number, level): float("inf") for number in range(len(rows)) for level in ("-O2", "-O0")}
        for _ in range(given.repetitions):
            for number, level in found:
                found[number, level] = min(found[number, level], cpu_seconds([*commands[number], level]))
        times = [(row[0], found[number, "-O2"], found[number, "-O0"], row[3]) for number, row in enumerate(rows)]

        sizes = []
        for title, source, libraries, target in SIZES:
            (folder / "size.cpp").write_text(source)
            program = folder / "program"
            command = [given.compiler, "-std=c++20", "-Os", f"-I{INCLUDE}", str(folder / "size.cpp"), "-o", str(program), "-s"]
            command += ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", *(libraries or ["-pthread"])]
            subprocess.run(command, check=True)
            sizes.append((title, program.stat().st_size, target))

    version = subprocess.run([given.compiler, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    base = times[0][1] if given.opentelemetry else None
    lines = [["", "-O2, s", "-O0, s", "target"]]
    for title, fast, plain, target in times:
        ratio = f" ({fast / base:.2f} ×)" if base and title != rows[0][0] else ""
        lines.append([title, f"{fast:.2f}{ratio}", f"{plain:.2f}", target or "–"])
    text = markdown(lines)
    text += "\n\n" + markdown([["stripped, `-Os`", "KB", "target"], *([t, f"{s / 1000:.0f}", target or "–"] for t, s, target in sizes)])
    print(version + "\n" + text)
    if given.page:
        given.page.write_text(fill_in(given.page.read_text(), "compile", f"{version}.\n\n{text}"))
    if given.output:
        result = {"compiler": version, "seconds": {title: {"-O2": fast, "-O0": plain} for title, fast, plain, _ in times}}
        given.output.write_text(json.dumps(result | {"bytes": {title: size for title, size, _ in sizes}}, indent=1) + "\n")


if __name__ == "__main__":
    main()
