#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What benchmark_recording measured, as one table and one JSON file: report.py RUNS [--output FILE.json] [--page FILE.md]

RUNS is a folder with time.json, allocations.json and, where they were measured, jemalloc.json and growth.json. --page
fills in the parts of a page between `<!-- measured: NAME -->` and `<!-- end -->`."""

import argparse
import datetime
import json
import pathlib
import re

# Name, figure, floor, peer, and the target: at most so many times another figure ("x", of which), or nanoseconds.
ROWS = [
    ("LLM span", "llm", "floor_llm", "peer_llm", ("x", 1.8, "floor_llm")),
    ("LLM span, `attribute<\"key\">(value)`", "llm_literal_keys", "floor_llm", "peer_llm", ("x", 1.5, "floor_llm")),
    ("LLM span, `cycle_counter_platform`", "llm_cycles", "floor_llm_cycles", "peer_llm", None),
    ("LLM span, both", "llm_literal_keys_cycles", "floor_llm_cycles", "peer_llm", None),
    ("bare span, a root", "bare_root", "floor_bare_root", "peer_bare_root", ("x", 2, "floor_bare_root")),
    ("bare span, a child", "bare_child", "floor_bare_child", "peer_bare_child", ("x", 1.5, "floor_bare_child")),
    ("LLM span, live consumer, burst", "burst", "floor_llm", "peer_burst", ("x", 2, "floor_llm")),
    ("LLM span, live consumer, full speed", "full_speed", "floor_llm", "peer_full_speed", ("x", 2.2, "floor_llm")),
    ("LLM span, two producers, live consumer", "two_producers", "floor_llm", "peer_two_producers", ("x", 1.2, "burst")),
    ("LLM span, two producers", "two_producers_discard", "floor_llm", "peer_two_producers_discard", ("x", 1.2, "llm")),
    ("LLM span by hand, into 4 MiB", "floor_llm_queue", "floor_llm", None, None),
    ("LLM span, off at run time", "off", None, "peer_off", ("ns", 3)),
    ("LLM span, sampled out", "sampled_out", None, "peer_sampled_out", ("ns", 20)),
    ("first span of a new thread", "new_thread", "floor_new_thread", "peer_new_thread", ("ns", 1000)),
]
NAMES = {"floor_llm": "floor", "floor_bare_root": "floor", "floor_bare_child": "floor", "burst": "one producer", "llm": "one producer"}


def row_of(name, key, floor, peer, target, run, allocations):
    """A row, by the minimum of each figure."""
    figures = run["figures"]

    def figure(which):
        return figures[which]["minimum"] if which in figures else None

    def beside(which):
        found = figure(which)
        return None if found is None else {"ns": found, "ratio": round(figure(key) / found, 3)}

    row = {"name": name, "figure": key, "ns_minimum": figure(key), "ns_median": figures[key]["median"]}
    row["repetitions"] = figures[key]["repetitions"]
    if allocations and key != "new_thread":  # which would count those of the thread itself
        row["allocations"] = allocations["figures"][key]["allocations"]
        if peer in allocations["figures"]:
            row["peer_allocations"] = allocations["figures"][peer]["allocations"]
    row["floor"], row["peer"] = beside(floor), beside(peer)
    if target and target[0] == "x":
        limit = target[1] * figure(target[2])
        row["target"] = {"text": f"≤ {target[1]:g} × {NAMES[target[2]]}", "ns": round(limit, 1)}
    elif target:
        row["target"] = {"text": f"≤ {target[1]:,} ns", "ns": target[1]}
    if target:
        row["target"]["reached"] = row["ns_minimum"] <= row["target"]["ns"]
    if key == "full_speed":
        row["dropped"] = run["dropped_at_full_speed"]
        row["target"]["reached"] = row["target"]["reached"] and row["dropped"] == 0
        if peer in figures:
            row["peer_dropped_share"] = round(run["peer_dropped_at_full_speed"] / run["peer_recorded_at_full_speed"], 4)
    return row


def rows_of(run, allocations=None):
    return [row_of(*each, run, allocations) for each in ROWS]


def number(value):
    return "–" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def cells(row, jemalloc):
    """A row as texts."""

    def beside(found):
        return "–" if not found else f"{number(found['ns'])} ({found['ratio']:.2f} ×)"

    target = row.get("target")
    allocations = row.get("allocations")
    shown = [row["name"] + (f", {row['dropped']} dropped" if "dropped" in row else "")]
    shown += [number(row["ns_minimum"]), number(row["ns_median"])]
    shown += ["–" if allocations is None else f"{allocations:.2f}".rstrip("0").rstrip(".")]
    shown += [beside(row["floor"])]
    if row["peer"]:
        counted = f", {row['peer_allocations']:.0f} allocations" if "peer_allocations" in row else ""
        dropped = f", {row['peer_dropped_share']:.0%} dropped" if row.get("peer_dropped_share") else ""
        shown += [beside(row["peer"]) + counted + dropped]
    else:
        shown += ["–"]
    shown += [number(jemalloc["ns_minimum"]) if jemalloc else "–"]
    shown += ["–" if not target else f"{target['text']}: {'reached' if target['reached'] else 'not reached'}"]
    return shown


HEADER = ["", "ns, minimum", "median", "allocations", "floor (ratio)", "opentelemetry-cpp (ratio)", "jemalloc", "target"]


def table(lines):
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) if n == 0 else cell.rjust(width) for n, (cell, width) in enumerate(zip(line, widths))).rstrip())


def markdown(lines):
    head, *rest = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([head, "|" + "---|" * len(lines[0]), *rest])


def budget_table():
    """What tests/instructions counted."""
    budgets = json.loads((pathlib.Path(__file__).parents[1] / "tests/instructions/budgets.json").read_text())
    names = {key: name for name, key, *_ in ROWS} | {"floor_llm": "LLM span by hand", "floor_bare_root": "bare span by hand, a root"}
    lines = [["", "instructions of a span", "locks of a trace"]]
    for case, found in budgets["instructions"].items():
        locks = budgets["locks"].get(case)
        lines.append([names[case], f"{found:,.0f}", "–" if locks is None else f"{locks:g}"])
    return markdown(lines)


def parts_table():
    """Where the instructions are that tests/instructions counted."""
    found = json.loads((pathlib.Path(__file__).parents[1] / "tests/instructions/budgets.json").read_text())["parts"]
    cases = {
        "llm_literal_keys": "LLM span, `attribute<\"key\">(value)`",
        "floor_llm": "by hand",
        "bare_root": "bare span, a root",
        "bare_child": "a child",
        "floor_bare_root": "by hand",
        "sampled_out": "LLM span, sampled out",
        "off": "off at run time",
    }
    parts = sorted(set().union(*found.values()), key=lambda part: -sum(found[case].get(part, 0) for case in cases))
    lines = [["", *cases.values()]]
    for part in parts:
        lines.append([part, *(f"{found[case][part]:,.0f}" if found[case].get(part, 0) >= 0.5 else "–" for case in cases)])
    return markdown(lines)


def growth_table(growth):
    lines = [["", "by", "at", "", "at", ""]]
    for series in growth["series"]:
        (first, cost_first), (last, cost_last) = series["points"][0], series["points"][-1]
        unit = series["y"]
        lines.append([series["x"], unit, f"{first:,}", number(cost_first), f"{last:,}", number(cost_last)])
    return markdown(lines)


def fill_in(page, name, text):
    pattern = re.compile(rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    filled, count = pattern.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page)
    if count != 1:
        raise SystemExit(f"the page has {count} parts named {name}")
    return filled


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("runs", type=pathlib.Path)
    arguments.add_argument("--output", type=pathlib.Path)
    arguments.add_argument("--page", type=pathlib.Path)
    given = arguments.parse_args()

    def read(name):
        path = given.runs / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    run, allocations, jemalloc, growth = map(read, ("time", "allocations", "jemalloc", "growth"))
    rows = rows_of(run, allocations)
    beside = rows_of(jemalloc) if jemalloc else [None] * len(rows)
    lines = [HEADER, *(cells(row, other) for row, other in zip(rows, beside))]
    machine = {key: run[key] for key in ("processor", "compiler", "escape", "version", "counts_cycles")}
    machine["peer"] = run.get("peer")
    about = f"{machine['processor']}, {machine['compiler']}, JSON escaped by {machine['escape']}, mlflow_trace {machine['version']}"
    if given.output:
        table([[cell.replace("`", "") for cell in line] for line in lines])
        print(about + (f", {machine['peer']}" if machine["peer"] else ", without opentelemetry-cpp"))
        result = {"machine": machine, "dropped": run["dropped"], "rows": rows, "rows_with_jemalloc": rows_of(jemalloc) if jemalloc else None}
        result |= {"figures": run["figures"], "growth": growth}
        given.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if given.page:
        repetitions = f"Minimum and median of {rows[0]['repetitions']} repetitions"
        peer = f" Beside it {machine['peer']}." if machine["peer"] else " Without opentelemetry-cpp."
        text = f"{repetitions}, {datetime.date.today():%B %Y}: {about}.{peer}\n\n{markdown(lines)}"
        page = fill_in(given.page.read_text(), "table", text)
        page = fill_in(page, "instructions", budget_table())
        page = fill_in(page, "parts", parts_table())
        given.page.write_text(fill_in(page, "growth", growth_table(growth)) if growth else page)


if __name__ == "__main__":
    main()
