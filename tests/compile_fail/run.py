#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what must not compile: run.py COMPILER INCLUDE_FOLDER PRECOMPILED_FOLDER FILE.cpp

Without FILE.cpp it precompiles <mlflow/trace.hpp> into PRECOMPILED_FOLDER, which must come first.

The first error that the compiler prints must match the pattern in the file's line `// error: …`, and the same file must
compile with -DTWIN, so that it fails for no other reason. What is wrong with a tracer is as wrong with one that is off at
compile time, unless the file has a line `// recording only: …` that says why not.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

compiler, include, precompiled = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
flags = ["-std=c++20", "-fno-diagnostics-color", "-Wno-unused"]
is_clang = "clang" in subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
header = precompiled / ("trace.hpp.pch" if is_clang else "mlflow/trace.hpp.gch")
if len(sys.argv) == 4:
    header.parent.mkdir(parents=True, exist_ok=True)
    unit = ["-x", "c++-header", "-o", str(header), "-w", f"{include}/mlflow/trace.hpp"]
    sys.exit(subprocess.run([compiler, *flags, f"-I{include}", *unit]).returncode)
source = pathlib.Path(sys.argv[4])
text = source.read_text()
pattern = re.search(r"^// error: (.*)$", text, re.MULTILINE).group(1)
NAMESPACE = "namespace mt = mlflow::trace;\n"
OFF = """template <class Schema = mt::open_schema, class Context = mt::thread_local_context,
          class Exporter = mt::json_lines_exporter, class = mt::record_nothing, class Platform = mt::hosted_platform>
using tracer_that_is_off = mt::tracer<Schema, Context, Exporter, mt::record_nothing, Platform>;
"""


def compile(path, *arguments):
    first = ["-include-pch", str(header)] if is_clang else [f"-I{precompiled}", "-Winvalid-pch"]
    command = [compiler, *flags, "-fsyntax-only", *first, f"-I{include}", *arguments, str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def check_failure(path, what):
    failed = compile(path)
    if failed.returncode == 0:
        sys.exit(f"{what}: it compiles")
    errors = [line for line in failed.stderr.splitlines() if re.search(r"\berror:", line)]
    if not re.search(pattern, errors[0]):
        # A consteval function that fails, or a function that is deleted, is named by the note right behind its error.
        notes = failed.stderr.splitlines()
        at = notes.index(errors[0])
        if not re.search("consteval|deleted", errors[0]) or not any(
            re.search(pattern, line) for line in notes[at : at + 8]
        ):
            sys.exit(f"{what}: the first error does not match {pattern!r}:\n" + "\n".join(notes[:12]))


twin = compile(source, "-DTWIN")
if twin.returncode != 0:
    sys.exit(f"the twin does not compile:\n{twin.stderr}")
check_failure(source, "recording")
if "mt::tracer<" in text and not re.search(r"^// recording only: \w", text, re.MULTILINE):
    if NAMESPACE not in text:
        sys.exit(f"no line {NAMESPACE!r}")
    with tempfile.TemporaryDirectory() as folder:
        off = pathlib.Path(folder) / source.name
        off.write_text(text.replace("mt::tracer<", "tracer_that_is_off<").replace(NAMESPACE, NAMESPACE + OFF))
        check_failure(off, "off")
