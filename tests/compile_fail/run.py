#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what must not compile: run.py COMPILER INCLUDE_FOLDER FILE.cpp

The first error that the compiler prints must match the pattern in the file's line `// error: …`, and the same file must
compile with -DTWIN, so that it fails for no other reason.
"""
import pathlib
import re
import subprocess
import sys

compiler, include, source = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
pattern = re.search(r"^// error: (.*)$", source.read_text(), re.MULTILINE).group(1)
command = [compiler, "-std=c++20", "-fsyntax-only", "-fno-diagnostics-color", "-Wno-unused", f"-I{include}", str(source)]

twin = subprocess.run([*command, "-DTWIN"], capture_output=True, text=True)
if twin.returncode != 0:
    sys.exit(f"the twin does not compile:\n{twin.stderr}")
failed = subprocess.run(command, capture_output=True, text=True)
if failed.returncode == 0:
    sys.exit("it compiles")
errors = [line for line in failed.stderr.splitlines() if re.search(r"\berror:", line)]
if not re.search(pattern, errors[0]):
    # A consteval function that fails, or a function that is deleted, is named by the note right behind its error.
    notes = failed.stderr.splitlines()
    at = notes.index(errors[0])
    if not re.search("consteval|deleted", errors[0]) or not any(re.search(pattern, line) for line in notes[at : at + 8]):
        sys.exit(f"the first error does not match {pattern!r}:\n" + "\n".join(notes[:12]))
