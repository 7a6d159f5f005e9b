#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes each program of these pages as a file of its own: extract.py PAGE.md... FOLDER

A block of `cpp` becomes PAGE_NUMBER.cpp, one of `c++`, which needs opentelemetry-cpp, PAGE_NUMBER.cc, and one of
`python` that begins with an import PAGE_NUMBER.py.
"""
import pathlib
import re
import sys

*pages, folder = map(pathlib.Path, sys.argv[1:])
folder.mkdir(parents=True, exist_ok=True)
for page in pages:
    text = page.read_text()
    for language, suffix, begin in (("cpp", "cpp", ""), (r"c\+\+", "cc", ""), ("python", "py", "(?=import )")):
        blocks = re.findall(rf"^```{language}\n({begin}.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if not blocks and suffix == "cpp":
            sys.exit(f"{page}: no C++ in it")
        for number, block in enumerate(blocks, 1):
            path = folder / f"{page.stem.lower()}_{number}.{suffix}"
            if not path.exists() or path.read_text() != block:
                path.write_text(block)
