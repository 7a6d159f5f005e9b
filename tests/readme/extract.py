#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes each C++ block of these pages as a program of its own: extract.py PAGE.md... FOLDER"""
import pathlib
import re
import sys

*pages, folder = map(pathlib.Path, sys.argv[1:])
folder.mkdir(parents=True, exist_ok=True)
for page in pages:
    blocks = re.findall(r"^```cpp\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    if not blocks:
        sys.exit(f"{page}: no C++ in it")
    for number, block in enumerate(blocks, 1):
        path = folder / f"{page.stem.lower()}_{number}.cpp"
        if not path.exists() or path.read_text() != block:
            path.write_text(block)
