#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws how cost grows: plots.py GROWTH.json FOLDER writes FOLDER/growth_*.svg. run.sh --plots calls it.

Text and axes take the colour of the page around them; as pictures of their own they follow the colours of the system.
"""

import io
import json
import pathlib
import re
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

# Each picture: its name, its title, and its series with their labels. The same unit on each axis.
PICTURES = [
    ("attributes", "A span with attributes", "attributes", [("attributes", "")]),
    ("payload", "Inputs of a span", "bytes", [("payload", "an escape in 16 bytes"), ("payload_plain", "no escapes")]),
    ("nesting", "Spans of one trace", "spans", [("depth", "nested, innermost ends first"), ("outside_in", "nested, outermost ends first"), ("width", "children of one root")]),
    ("open_traces", "Open traces, the oldest ends first", "open traces", [("open_traces", "thread_local_context"), ("open_traces_explicit", "explicit_context")]),
    ("entries", "Entries and chunks", "entries or chunks", [("metadata", "metadata entries of a trace"), ("chunks", "chunks of a stream")]),
    ("queue", "Recording behind a queue", "spans waiting", [("queue", "")]),
    ("threads", "Threads that record", "threads", [("threads", "")]),
]
# Readable on white and on dark grey: a contrast of at least 3 with both.
COLOURS = ["#0f8a9d", "#d2691e", "#7a70d8"]
MARKERS = ["o", "s", "^"]
INK = "#010203"  # replaced below
STYLE = "svg{color:#1c2329}@media(prefers-color-scheme:dark){svg{color:#e2e4e9}}"


def short(value, _=None):
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def draw(picture, series):
    name, title, unit, lines = picture
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif", "font.size": 10})
    for part in ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"):
        plt.rcParams[part] = INK
    figure, axes = plt.subplots(figsize=(4.6, 2.9))
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    y_unit = {series[key]["y"] for key, _ in lines}
    for (key, label), colour, marker in zip(lines, COLOURS, MARKERS):
        points = [(x, y) for x, y in series[key]["points"] if x > 0 or unit in ("attributes",)]
        axes.plot(*zip(*points), color=colour, marker=marker, markersize=4, linewidth=1.6, label=label)
    if unit in ("attributes", "threads"):
        axes.set_ylim(0, 1.1 * max(y for key, _ in lines for _, y in series[key]["points"]))
    else:
        axes.set_xscale("log")
        axes.set_yscale("log")
        lowest, highest = axes.get_ylim()
        if highest / lowest < 100:  # so that noise does not look like growth
            middle = (lowest * highest) ** 0.5
            axes.set_ylim(middle / 10, middle * 10)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(base=10, numticks=9))
            axis.set_minor_locator(NullLocator())
    if unit == "threads":
        axes.set_xticks([x for x, _ in series["threads"]["points"]])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(short))
    axes.set_xlabel(unit)
    axes.set_ylabel(y_unit.pop() if len(y_unit) == 1 else "ns for each")
    axes.set_title(title, fontsize=11)
    axes.grid(True, which="major", color="#888888", alpha=0.3, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    plt.close(figure)
    return tidy(out.getvalue(), name, title)


def tidy(svg, name, title):
    """Without what a page does not need, with IDs of its own, in the colours of the page."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: f' id="growth-{name}-{match[1]}"' if match[1] in used else "", svg)
    svg = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\1growth-{name}-", svg)
    svg = re.sub(INK, "currentColor", svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", svg)
    svg = re.sub(r'<text style="(?!fill)', '<text style="fill: currentColor; ', svg)
    svg = re.sub(r"(\d+\.\d{2})\d+", r"\1", svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    head, rest = svg.split(">", 1)
    head = "<!-- SPDX-License-" "Identifier: Apache-2.0; drawn by benchmarks/plots.py -->\n" + head
    return f"{head}>\n<title>{title}</title>\n<style>{STYLE}</style>{rest}"


def main():
    source, folder = map(pathlib.Path, sys.argv[1:])
    series = {each["name"]: each for each in json.loads(source.read_text())["series"]}
    for picture in PICTURES:
        (folder / f"growth_{picture[0]}.svg").write_text(draw(picture, series))


if __name__ == "__main__":
    main()
