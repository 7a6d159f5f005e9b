#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/troubleshooting.md quotes every message of the headers, as it is there: messages_test.py [PAGE INCLUDE_FOLDER]

A quotation is a code span in the first cell of a row that begins with one; "…" in it stands for what varies. All its
parts must stand in the strings of one header, or among its names, which the compiler prints too. Conversely, of each
text of four words or more in a header a part must stand on the page, but for those that no user sees; and so must each
name that a test of tests/compile_fail expects in an error of the compiler.
"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent.parent
page, include = map(pathlib.Path, sys.argv[1:] or (root / "docs/troubleshooting.md", root / "include"))

COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)+\')|//[^\n]*')
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
# Descriptions of metrics, the conformance suites, an example of a date, and what other servers say.
UNSEEN = re.compile(r"otlp_measures\.hpp|/testing/|/date\.hpp")
OF_OTHERS = {"HTTP request to an HTTPS server"}


def strings_of(text):
    text = COMMENT.sub(lambda match: match[1] or "", text)
    text = re.sub(r"^#include.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r'"\s*\n\s*"', "", text)
    return text, [found.replace('\\"', '"') for found in STRING.findall(text)]


def parts_of(quoted):
    return [part.strip() for part in quoted.split("…") if part.strip()]


headers = {path: strings_of(path.read_text()) for path in sorted(include.rglob("*.hpp"))}
rows = re.findall(r"^\| (`.*?) \|", page.read_text(), re.MULTILINE)
quotations = [quoted for row in rows for quoted in re.findall(r"`([^`]+)`", row)]
faults = []
if len(quotations) < 250:
    faults.append(f"only {len(quotations)} quotations were found")

for quoted in quotations:
    parts = parts_of(quoted)
    if not parts:
        faults.append(f"nothing in it: {quoted}")
    elif not any(
        all(any(part in string for string in strings) or (part.isidentifier() and part in text) for part in parts)
        for text, strings in headers.values()
    ):
        faults.append(f"no header says: {quoted}")

long_parts = [part for quoted in quotations for part in parts_of(quoted) if len(part.split()) > 1]
for path, (_, strings) in headers.items():
    for string in strings:
        words = string.split()
        if len(words) < 4 or string in OF_OTHERS or UNSEEN.search(path.as_posix()) or not re.search(r"[a-z]{2,} [a-z]{2,}", string):
            continue
        if not any(part in string or string.strip() in part for part in long_parts):
            faults.append(f"{path.relative_to(include)}: not on the page: {string}")

for source in sorted((root / "tests/compile_fail").glob("*.cpp")):
    expected = re.search(r"^// error: (\w+_\w+_\w+_\w+)$", source.read_text(), re.MULTILINE)
    if expected and not any(expected[1] in quoted for quoted in quotations):
        faults.append(f"{source.name}: not on the page: {expected[1]}")

sys.exit("\n".join(faults) or None)
