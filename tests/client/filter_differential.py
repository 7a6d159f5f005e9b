#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares filters of the library with MLflow's own parser, and its LIKE with SQLite's, from a fixed seed.

usage: filter_differential.py <path of the built filter_tool> [cases, default 8000]

A filter made of random clauses must be read by MLflow as these clauses and no others; where a value cannot be written,
as a pattern that the value matches. What MLflow refuses or reads in another way is a fault.
"""

import json
import random
import re
import sqlite3
import subprocess
import sys

from mlflow.utils.search_utils import SearchTraceUtils

COMPARISONS = ["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "RLIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"]
TEXT = [0, 1, 6, 7, 8]
LISTED = TEXT + [9, 10]
OPTIONAL = TEXT + [11, 12]
NUMBER = [0, 1, 2, 3, 4, 5]
PATTERN = [6, 7]
# By mt::subject: how MLflow's parser names it, the key, which comparisons it takes.
SUBJECTS = {
    0: ("request_metadata", None, OPTIONAL),
    1: ("tag", None, OPTIONAL),
    2: ("attribute", "status", LISTED),
    3: ("tag", "mlflow.traceName", TEXT),
    4: ("attribute", "request_id", LISTED),
    5: ("attribute", "client_request_id", LISTED),
    6: ("request_metadata", "mlflow.sourceRun", TEXT),
    7: ("attribute", "timestamp_ms", NUMBER),
    8: ("attribute", "execution_time_ms", NUMBER),
    9: ("attribute", "end_time_ms", NUMBER),
    10: ("span", "name", LISTED),
    11: ("span", "attributes.", PATTERN),
    12: ("span", "content", PATTERN),
    13: ("feedback", None, [0, 1, 11, 12]),
    14: ("expectation", None, [0, 1, 11, 12]),
}
PIECES = list("'\"\\%_`;,.()[]{}=<>!?*+-/#@$&|^~:0aZ ") + [
    "''", '""', "\\'", '\\"', "--", "/*", "*/", " AND ", " OR ", " IS NULL", " IN ('a')", " LIKE '%'", "user", "session",
    "'; DROP TABLE traces; --", "' OR '1'='1", "o'brien-1", "利用者", "セッション", "é", "\U0001f600", "null", "NULL", "select",
    "metadata.`mlflow.trace.user` = 'x'", "$$", "N'", "x'", "E'\\'", "{{", "%s", "%(a)s", ":v", "\t", "\n", "\u00a0", "\u3000",
]  # fmt: skip
KEYS = ["mlflow.trace.user", "mlflow.trace.session", "app.segment", "a", "a b", "a'b", 'a"b', "a.b.c", "a\\", "利用者", "select", "AND",
        "%", "'a'", '"a"', "user", "status", "key", "a`b", "text", "Name", "x" * 250]  # fmt: skip


def value(rng):
    text = "".join(rng.choice(PIECES) for _ in range(rng.choice([1, 1, 2, 3, 4, 6, 10])))
    return rng.choice([text, text, text + "\\", "x" * 240 + text])[:250] or "x"


def clause(rng):
    subject = rng.choice([0, 0, 0, *SUBJECTS])
    comparison = rng.choice(SUBJECTS[subject][2])
    made = {"subject": subject, "comparison": comparison}
    if subject in (0, 1, 11, 13, 14):
        made["key"] = rng.choice(KEYS)
    if subject == 10:
        made["key"] = "name"
    if SUBJECTS[subject][2] is NUMBER:
        made["number"] = rng.choice([0, 1, -5, 42, 2000, 1795406400000, 2**53, rng.randrange(2**62)])
    elif comparison in (9, 10):
        made["values"] = [value(rng) for _ in range(rng.randint(1, 4))]
    elif comparison < 9:
        made["values"] = [value(rng)]
    return made


class Like:
    def __init__(self):
        self.database = sqlite3.connect(":memory:")
        self.database.execute("PRAGMA case_sensitive_like = true")

    def __call__(self, text, pattern):
        return bool(self.database.execute("SELECT ? LIKE ?", (text, pattern)).fetchone()[0])


like = Like()


def is_meant(told, read):
    """Is this clause, as MLflow read it, the one that was told, or one that lets it through?"""
    kind, key, _ = SUBJECTS[told["subject"]]
    key = key + told["key"] if key == "attributes." else key or told["key"]
    comparison, meant = COMPARISONS[told["comparison"]], told.get("values")
    found = read["key"].replace("attributes.`", "attributes.").rstrip("`") if kind == "span" else read["key"]
    if (read["type"], found) != (kind, key):
        return False
    if "number" in told:
        return (read["comparator"], read["value"]) == (comparison, told["number"])
    if read["comparator"] == comparison and meant is None:
        return read["value"] is None
    if read["comparator"] == comparison and comparison in ("IN", "NOT IN"):
        return list(read["value"]) == meant
    if read["comparator"] == comparison and read["value"] == meant[0]:
        return True
    # Only a value that no quotes can hold may be asked for by something wider.
    escaped = comparison in ("LIKE", "ILIKE", "IN", "NOT IN")
    hard = [
        v for v in meant if ("'" in v and '"' in v) or v.endswith("\\") or (escaped and ("\\" in v or "\n" in v))
    ]
    if not hard:
        return False
    if comparison in ("=", "LIKE", "ILIKE"):
        before, nul, _ = meant[0].partition("\0")  # for LIKE, SQLite ends a text at its first NUL
        wider = "".join("_" if c in "'\"\\" else c for c in before) + "%" * len(nul)
        return read["comparator"] == ("ILIKE" if comparison == "ILIKE" else "LIKE") and read["value"] == wider
    return read["comparator"] == "LIKE" and read["value"] == "%"


def judge(asked, told):
    """What is wrong with the answer, or None; and whether it was a filter at all."""
    clauses = asked["clauses"]
    if "error" in told:
        keys = [c.get("key", "") for c in clauses]
        hard = any(c["subject"] > 9 or c["comparison"] == 8 for c in clauses)
        expected = hard or "a`b" in keys or "text" in keys or "Name" in keys
        return (None if expected else f"refused: {told['error']}"), False
    try:
        read = SearchTraceUtils.parse_search_filter_for_search_traces(told["text"])
    except Exception as error:  # whatever MLflow says, it did not take the filter
        return f"MLflow refuses: {error}", True
    if len(read) != len(clauses):
        return f"MLflow reads {len(read)} clauses of {len(clauses)}", True
    wrong = [c for c, r in zip(clauses, read) if not is_meant(c, r)]
    if wrong:
        return f"MLflow reads {read}", True
    if told["exact"] and not told.get("same"):
        return f"its own parser reads it in another way: {told.get('unread')}", True
    return None, True


def matching(rng):
    """One metadata value against one LIKE pattern: SQLite decides."""
    alphabet = "ab%_\\'é利"
    pattern, text = ("".join(rng.choice(alphabet) for _ in range(rng.randrange(9))) for _ in range(2))
    if rng.random() < 0.5:
        text = "".join(rng.choice(alphabet) if c == "_" else "ab" if c == "%" else c for c in pattern)
    asked = {"clauses": [{"subject": 0, "key": "k", "comparison": 6, "values": [pattern]}], "metadata": {"k": text}}
    return asked, like(text, pattern)


def ask(tool, questions):
    told = subprocess.run([tool], input="\n".join(map(json.dumps, questions)), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in told.stdout.splitlines()]


def main():
    tool, cases = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    rng = random.Random(1042)
    faults = []

    asked = [{"clauses": [clause(rng) for _ in range(rng.choice([1, 1, 2, 3, 5]))]} for _ in range(cases)]
    written = 0
    for question, told in zip(asked, ask(tool, asked), strict=True):
        wrong, is_filter = judge(question, told)
        written += is_filter
        if wrong:
            faults.append(f"{json.dumps(question, ensure_ascii=False)}\n  {told.get('text')}\n  {wrong}")

    like_cases = [matching(rng) for _ in range(cases // 4)]
    for (question, expected), told in zip(like_cases, ask(tool, [q for q, _ in like_cases]), strict=True):
        if told["matches"] != expected:
            faults.append(f"LIKE: {question}: {told['matches']}")

    # What the library's parser reads of any text, MLflow reads in the same way.
    texts = [{"filter": mutated(rng, told["text"])} for told in ask(tool, asked[: cases // 2]) if "text" in told]
    accepted = 0
    for question, told in zip(texts, ask(tool, texts), strict=True):
        if "error" in told or not told["exact"]:
            continue
        accepted += 1
        try:
            one_space = re.sub(r"NOT\s+NULL", "NOT NULL", question["filter"])  # MLflow wants one between these words
            same = parsed(one_space) == parsed(re.sub(r"NOT\s+NULL", "NOT NULL", told["text"]))
        except Exception as error:
            same, told["text"] = False, f"{told['text']}\n  {error}"
        if not same:
            faults.append(f"read in another way: {question['filter']!r}\n  {told['text']!r}")

    for fault in faults[:10]:
        print(fault)
    print(f"{written} filters and {accepted} of {len(texts)} mutated texts read by MLflow, {len(like_cases)} patterns: {len(faults)} faults")
    sys.exit(bool(faults) or written < cases // 3 or accepted < len(texts) // 50)


def parsed(text):
    """Without the difference between a timestamp and its alias."""
    return [(c["type"], c["key"].replace("`", ""), c["comparator"].upper(), c["value"]) for c in SearchTraceUtils.parse_search_filter_for_search_traces(text)]


def mutated(rng, text):
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(["", rng.choice(PIECES)]) + text[at + rng.randrange(2) :]
    return text


if __name__ == "__main__":
    main()
