#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles a program with a tracer that is off and, with -DPLAIN, without any, and compares the instructions of its
functions: compare.py COMPILER INCLUDE_FOLDER FILE.cpp"""
import pathlib
import re
import subprocess
import sys
import tempfile

compiler, include, source = sys.argv[1:]


def functions(folder, level, *defines):
    """The code of each function named plain_…, as objdump prints it, with the symbols it refers to."""
    compiled = pathlib.Path(folder) / "program.o"
    flags = ["-std=c++20", level, "-ffunction-sections", "-Wall", "-Wextra", "-Werror", f"-I{include}"]
    subprocess.run([compiler, *flags, *defines, "-c", source, "-o", compiled], check=True)
    listing = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", compiled], check=True, capture_output=True, text=True)
    found = {}
    for block in re.split(r"\nDisassembly of section ", listing.stdout):
        if name := re.search(r"<(work_\w+)>:", block):
            found[name.group(1)] = [line.strip() for line in block.splitlines()[1:] if line.strip()]
    return found


with tempfile.TemporaryDirectory() as folder:
    for level in ("-O1", "-O2", "-Os"):
        off, plain = functions(folder, level), functions(folder, level, "-DPLAIN")
        if len(plain) != 3 or off.keys() != plain.keys():
            sys.exit(f"{level}: functions {sorted(off)} and {sorted(plain)}")
        for name, code in plain.items():
            if len(code) < 3:
                sys.exit(f"{level}: {name} has no instructions")
            if off[name] != code:
                sys.exit("\n".join([f"{level}: {name} differs; plain:", *code, "off:", *off[name]]))
