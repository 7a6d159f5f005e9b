#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a tracer that is off offers beside `span_interface`, which both share: every public function of the tracer that
records, with as many parameters, callable on whatever the other is callable on.

    parity_test.py CLANG INCLUDE_FOLDER
"""

import json
import subprocess
import sys
import typing
import unittest

CLANG, INCLUDE = sys.argv.pop(1), sys.argv.pop(1)
# A tracer that is off makes no exporter.
WITHOUT = {"exporter", "get"}


class Function(typing.NamedTuple):
    name: str
    parameters: int


def dumped(name: str) -> list[dict]:
    source = "#include <mlflow/trace.hpp>\n"
    flags = ["-std=c++20", f"-I{INCLUDE}", "-fsyntax-only", "-x", "c++", "-"]
    dump = ["-Xclang", "-ast-dump=json", "-Xclang", f"-ast-dump-filter={name}"]
    done = subprocess.run([CLANG, *flags, *dump], input=source, capture_output=True, text=True, check=True)
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := done.stdout.find("{", at)) >= 0:
        node, at = decoder.raw_decode(done.stdout, at)
        found.append(node)
    return found


def classes(node: dict, name: str, kind: str) -> typing.Iterator[dict]:
    """The definitions of a class, or of a partial specialisation, of that name."""
    if node.get("name") == name and node.get("completeDefinition") and node["kind"] == kind:
        yield node
    elif node["kind"] == "ClassTemplateDecl":
        for inner in node.get("inner", []):
            yield from classes(inner, name, kind)


def public_functions(name: str, kind: str = "CXXRecordDecl") -> dict[Function, bool]:
    """Each public function, and whether a const object has it."""
    found = [each for node in dumped(name) for each in classes(node, name, kind)]
    if not found:
        sys.exit(f"{CLANG} shows no class {name}")
    functions, is_public = {}, found[0]["tagUsed"] == "struct"
    for member in found[0]["inner"]:
        if member["kind"] == "AccessSpecDecl":
            is_public = member["access"] == "public"
        if member["kind"] == "FunctionTemplateDecl":
            member = next(each for each in member["inner"] if each["kind"].endswith(("MethodDecl", "ConstructorDecl")))
        if member["kind"] != "CXXMethodDecl" or not is_public or member.get("isImplicit") or "operator" in member["name"]:
            continue
        parameters = [each for each in member.get("inner", []) if each["kind"] == "ParmVarDecl"]
        qualifiers = member["type"]["qualType"].rpartition(")")[2]
        is_const = member.get("storageClass") == "static" or "const" in qualifiers.split()
        functions[Function(member["name"], len(parameters))] = is_const
    return functions


class Parity(unittest.TestCase):
    def check(self, on: dict[Function, bool], off: dict[Function, bool], least: int) -> None:
        self.assertGreaterEqual(len(on), least, "the functions were not found")
        wanted = {function for function in on if function.name not in WITHOUT}
        self.assertEqual(wanted - set(off), set(), "missing where recording is off")
        self.assertEqual(set(off) - wanted, set(), "missing where it is on")
        mutable = {function for function in wanted if on[function] and not off[function]}
        self.assertEqual(mutable, set(), "not const where recording is off")

    def test_span(self):
        self.check(public_functions("basic_span"), public_functions("unrecorded_span"), 7)

    def test_trace(self):
        self.check(public_functions("basic_trace"), public_functions("unrecorded_trace"), 3)

    def test_scope(self):
        self.check(public_functions("basic_scope"), public_functions("unrecorded_scope"), 0)

    def test_tracer(self):
        off = public_functions("tracer", "ClassTemplatePartialSpecializationDecl")
        self.check(public_functions("tracer"), off, 16)


if __name__ == "__main__":
    unittest.main()
