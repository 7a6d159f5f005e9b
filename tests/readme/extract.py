#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes each C++ block of a page as a program of its own: extract.py README.md FOLDER"""
import pathlib
import re
import sys

readme, folder = map(pathlib.Path, sys.argv[1:])
blocks = re.findall(r"^```cpp\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL)
if not blocks:
    sys.exit(f"{readme}: no C++ in it")
folder.mkdir(parents=True, exist_ok=True)
for number, block in enumerate(blocks, 1):
    path = folder / f"{readme.stem.lower()}_{number}.cpp"
    if not path.exists() or path.read_text() != block:
        path.write_text(block)
