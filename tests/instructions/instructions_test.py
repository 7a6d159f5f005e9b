#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What recording takes, as numbers that do not depend on the load of the machine.

    instructions_test.py instructions COMPILER VERSION record [--update]   by callgrind, at most 4 % above budgets.json
    instructions_test.py locks COMPILER VERSION record_locks [--update]    locks of the recording thread, by budgets.json
    instructions_test.py system_calls COMPILER VERSION record              none by the recording thread, by strace
    instructions_test.py parts COMPILER VERSION record [--update]          which part of the library they are in; not a test

Two runs of different length are compared, so that the start and the end of the program do not count. The instructions
are those of g++ 12 with -O2. Valgrind has no AVX-512: text is escaped by AVX2.
"""

import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
MARGIN = 1.04
BUDGETS = pathlib.Path(__file__).with_name("budgets.json")
# How many spans `record CASE 1` records in the steady state.
SPANS = {"llm": 4, "llm_literal_keys": 4, "bare_root": 1, "bare_child": 65, "off": 4, "sampled_out": 4}
FLOORS = {"floor_llm": 4, "floor_bare_root": 1}  # the same bytes by hand, to compare with


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def instructions(program, case):
    """Of a span."""

    def of_run(times):
        tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        return int(re.search(r"Collected : (\d+)", run([*tool, program, case, str(times)]).stderr)[1])

    few, many = 512, 1536  # each text of the workload equally often
    return (of_run(many) - of_run(few)) / (many - few) / (SPANS | FLOORS)[case]


def parts(program, case):
    """The instructions of a span, by folder of the library or by what else executes them."""

    def of_run(times):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "callgrind"
            run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={log}", program, case, str(times)])
            names, found, part, is_call = {}, collections.Counter(), None, False
            for line in log.read_text().splitlines():
                if match := re.match(r"(fl|fi|fe|fn)=\((\d+)\)(?: (.*))?$", line):
                    kind, number, name = match.groups()
                    key = ("fn" if kind == "fn" else "file", number)
                    if name is not None:
                        names[key] = name
                    file, function = (file, names[key]) if kind == "fn" else (names[key], "")
                    part = part_of(file, function)
                elif match := re.match(r"c(?:fi|fn)=\((\d+)\) (.*)$", line):
                    names["fn" if line.startswith("cfn") else "file", match[1]] = match[2]
                elif line.startswith("calls="):
                    is_call = True
                elif re.match(r"[+\-*\d]", line):
                    if not is_call:  # what is called has lines of its own
                        found[part] += int(line.split()[1])
                    is_call = False
            return found

    few, many = 512, 1536
    less, more = of_run(few), of_run(many)
    spans = (many - few) * (SPANS | FLOORS)[case]
    return {part: round((count - less[part]) / spans, 1) for part, count in more.most_common() if count > less[part]}


PARTS = {
    "text": "escaping JSON",
    "wire": "encoding",
    "memory": "pools and buffers",
    "context": "context",
    "platform": "IDs and clock",
    **dict.fromkeys(("spans", "core", "values", "metadata", "detail"), "interface and checks"),
}


def part_of(file, function):
    if match := re.search(r"mlflow/trace/(\w+)/", file):
        return PARTS[match[1]]
    if "benchmarks/" in file or "/record.cpp" in file:
        return "the program"
    if "clock_gettime" in file + function:
        return "IDs and clock"
    if "pthread" in file + function:
        return "locks and cancellation"
    if re.search(r"mem(cpy|move|set|cmp)", file + function):
        return "encoding"
    return "C++ library and others"


def locks(program, case):
    """Of a trace, or of a root with its children."""
    return int(run([program, case, "10000"]).stdout.split()[0]) / 10_000


def compare(what, measure, program, margin, update):
    budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    budget = budgets.setdefault(what, {})
    failed = False
    for case in SPANS | FLOORS if what == "instructions" else SPANS:
        found = measure(program, case)
        limit = budget.get(case, 0) * margin
        is_within = update or case in budget and found <= limit
        failed |= not is_within
        print(f"{case:20} {found:10.1f}   at most {limit:10.1f}{'' if is_within else '   TOO MANY'}")
        if update:
            budget[case] = round(found, 1)
        elif is_within and found < budget[case] / margin - 0.05:
            print(f"{'':20} fewer than before: lower the budget (--update)")
    if update:
        BUDGETS.write_text(json.dumps(budgets, indent=2) + "\n")
    return failed


def system_calls(program, case, times):
    """Those between the two marks, by thread that writes them."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "strace"
        run(["strace", "-f", "-o", log, program, case, str(times)])
        open_marks, found = set(), {}
        for line in log.read_text().splitlines():
            thread, call = line.split(maxsplit=1)
            if '"steady state begins"' in call:
                open_marks.add(thread)
                found[thread] = []
            elif '"steady state ends"' in call:
                open_marks.remove(thread)
            elif thread in open_marks and not call.startswith("<..."):
                found[thread].append(call)
        if open_marks:
            sys.exit(f"{case}: {len(open_marks)} threads did not end")
        return list(found.values())


def check_system_calls(program):
    times, failed = 5_000, False
    for case, threads in {"llm": 1, "llm_literal_keys": 1, "bare_root": 1, "bare_child": 1, "llm_two_threads": 2}.items():
        found = system_calls(program, case, times)
        # Two threads may wait for one another's lock of the pool, which is rare.
        allowed = 0 if threads == 1 else times // 100
        is_good = len(found) == threads and all(len(calls) <= allowed for calls in found)
        failed |= not is_good
        print(f"{case:20} {[len(calls) for calls in found]} system calls{'' if is_good else '   TOO MANY'}")
        for calls in found:
            if len(calls) > allowed:
                print("\n".join(calls[:10]))
    # A queue that was empty wakes the thread that delivers; a queue that grows takes memory.
    (calls,) = system_calls(program, "llm_queued", times)
    other = [call for call in calls if not call.startswith(("futex(", "brk(", "mmap(", "munmap(", "mprotect(", "madvise("))]
    failed |= bool(other) or len(calls) > times
    print(f"{'llm_queued':20} {len(calls)} system calls in {times} traces, of other kinds: {other[:10]}")
    return failed


def main():
    what, compiler, version, program, *rest = sys.argv[1:]
    is_budgeted = compiler == "GNU" and version.startswith("12.")
    if what == "instructions":
        if not is_budgeted:
            skip("the budget is that of g++ 12")
        if not shutil.which("valgrind"):
            skip("valgrind is not installed")
        return compare(what, instructions, program, MARGIN, rest == ["--update"])
    if what == "parts":
        found = {case: parts(program, case) for case in SPANS | FLOORS}
        for case, counts in found.items():
            print(case, counts)
        if rest == ["--update"]:
            budgets = json.loads(BUDGETS.read_text()) | {"parts": found}
            BUDGETS.write_text(json.dumps(budgets, indent=2) + "\n")
        return False
    if what == "locks":
        return compare(what, locks, program, 1, rest == ["--update"])
    if not shutil.which("strace"):
        skip("strace is not installed")
    if subprocess.run(["strace", "true"], capture_output=True).returncode != 0:
        skip("strace may not trace here")
    return check_system_calls(program)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
