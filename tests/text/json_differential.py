#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the JSON reader and writer with Python's own json, on texts made from a fixed seed.

usage: json_differential.py <path of the built json_tool>
"""

import json
import random
import subprocess
import sys

TRICKY = [
    "", " ", "null", "nul", "nulll", "Null", "true", "false", "NaN", "-NaN", "nan", "Infinity", "-Infinity", "+Infinity",
    "- Infinity", "infinity", "0", "-0", "+0", "00", "01", "-01", "1.", ".5", "1.5", "1.5.5", "1e5", "1E5", "1e+5", "1e-5",
    "1e", "1e+", "1.e5", "-", "--1", "1-", "0x10", "1_000", "1,000", "1 2", '"', '""', '"a', 'a"', "'a'", '"\\"', '"\\""',
    '"\\/"', '"\\b\\f\\n\\r\\t"', '"\\v"', '"\\u12"', '"\\u12G4"', '"\\u1234"', '"\\U1234"', '"\\ud800"', '"\\udc00\\ud800"',
    '"\\ud83d\\ude00"', '"\\u 123"', '"\\u+123"', '"\\u1_23"', '"\t"', '"\n"', '"\x00"', '"\x1f"', '"\x7f"', '"\x80"',
    '"\u2028"', '"gr\u00fcn \u4e2d \U0001f600"', "gr\u00fcn", "\ufeff{}", "{}\ufeff", "\u00a0{}", "{}\u00a0", "\x0b1", "\x0c1",
    " 1 ", "\t\r\n1\n\r\t", "[]", "[ ]", "[,]", "[1,]", "[,1]", "[1 2]", "[1,2]", "[[]]", "[", "]", "[]]", "[[]", "[}", "{]",
    "{}", "{ }", "{,}", '{"a"}', '{"a":}', '{"a":1}', '{"a":1,}', '{"a" : 1 , "b" : [ ] }', '{"a":1 "b":2}', '{a:1}',
    '{1:1}', '{null:1}', '{"a":1}{"b":2}', '{"a":1,"a":2}', '{"a"::1}', '{"a":1}}', '{"":""}', "//x\n1", "/**/1", "1//x",
    "[NaN,-Infinity,Infinity]", "[nul]", "[truefalse]", "[1true]", "tr-0123", "2024-01-01", "1.2.3", "user-1042", "1042",
    "\u0661", "1\u0661", "-\u0661", '"\\u\u0661\u0661\u0661\u0661"', "1e\u0661", "[1\u00a0]",
]  # fmt: skip
ALPHABET = list('[]{},:"\\/-+.eEuabfnrt0123456789 \t\n\r') + ["\x00", "\x1f", "\x7f", "\u00e9", "\ufeff", "\U0001f600"]
ALPHABET += ["true", "false", "null", "NaN", "Infinity", "\\u", "\\ud83d", "\\ude00", '"a":', '""', "[]", "{}"]


def document(rng, depth=0):
    kind = rng.randrange(9 if depth < 5 else 6)
    if kind == 0:
        return rng.choice([None, True, False, float("nan"), float("inf"), -float("inf")])
    if kind == 1:
        return rng.randint(-(10**20), 10**20)
    if kind == 2:
        return rng.uniform(-1, 1) * 10 ** rng.randint(-300, 300)
    if kind < 6:
        return "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(12)))
    if kind == 6:
        return {str(document(rng, 9)): document(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [document(rng, depth + 1) for _ in range(rng.randrange(4))]


def mutated(rng, text):
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text) + 1)
        to = min(len(text), at + rng.randrange(3))
        text = text[:at] + rng.choice(["", rng.choice(ALPHABET), text[at:to] * 2]) + text[to:]
    return text


def cases():
    rng = random.Random(1042)
    texts = [before + text + after for text in TRICKY for before in ("", " ", "[") for after in ("", "\n", "]")]
    texts += ["[" * depth + close * depth for depth in range(1, 513, 37) for close in ("]", "}", "")]
    texts += ['{"a":' * depth + "1" + "}" * depth for depth in (1, 2, 64, 511, 512)]
    for _ in range(12000):
        text = json.dumps(document(rng), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 1]))
        texts += [text, mutated(rng, text)]
    texts += ["".join(rng.choice(ALPHABET) for _ in range(rng.randrange(8))) for _ in range(12000)]
    return [text.encode() for text in texts] + [
        bytes(rng.choice(b'a"\\\n\x80\xbf\xc3\xe2\x82\xf0\x9f\xed\xa0\xff') for _ in range(rng.randrange(90)))
        for _ in range(6000)
    ]


def is_document(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def main():
    encoded = cases()
    packed = b"".join(b"%d\n%s" % (len(case), case) for case in encoded)
    answers = subprocess.run([sys.argv[1]], input=packed, stdout=subprocess.PIPE, check=True).stdout.split(b"\n")
    assert len(answers) == len(encoded) + 1 and answers[-1] == b"", "one line for each case"
    documents = 0
    for case, answer in zip(encoded, answers):
        text = case.decode(errors="replace")
        expected = is_document(text)
        documents += expected
        assert answer[:2] == (b"1 " if expected else b"0 "), f"json.loads accepts: {expected}; {text!r}"
        written = answer[2:].decode()
        assert json.loads(written) == text, f"{case!r} was written as {written!r}"
    assert 5000 < documents < len(encoded) - 5000, "both answers are tried"
    print(f"{len(encoded)} texts, {documents} of them documents")


if __name__ == "__main__":
    main()
