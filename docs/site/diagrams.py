#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the diagrams of docs/explanation/ into docs/images/: python3 docs/site/diagrams.py

Each is 440 units wide, so that its text can be read on a phone. A page that inlines one colours it by site.css; as a
picture of its own it follows the colours of the system.
"""
import html
import pathlib

IMAGES = pathlib.Path(__file__).resolve().parents[1] / "images"
WIDTH = 440
STYLE = """
text{fill:#1c2329;font:14px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
.small{font-size:11.5px;fill:#4d5560}.code{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12.5px}
.box{fill:#eef5f6;stroke:#0b5563}.warm{fill:#fbeee4;stroke:#b4450b}.plain{fill:none;stroke:#9aa3ab;stroke-dasharray:4 3}
.line{fill:none;stroke:#0b5563;stroke-width:1.4}.warm-line{fill:none;stroke:#b4450b;stroke-width:1.4}.tip{fill:#0b5563}
.warm-tip{fill:#b4450b}
@media(prefers-color-scheme:dark){text{fill:#e2e4e9}.small{fill:#b9bfcd}.box{fill:#16303a;stroke:#6fc6d6}
.warm{fill:#3a2a1e;stroke:#ffab78}.line{stroke:#6fc6d6}.warm-line{stroke:#ffab78}.tip{fill:#6fc6d6}.warm-tip{fill:#ffab78}}
"""


class Drawing:
    def __init__(self, title, about):
        self.title, self.about, self.parts, self.bottom = title, about, [], 0

    def reach(self, y):
        self.bottom = max(self.bottom, y)

    def text(self, x, y, line, size="", anchor="middle"):
        """A line of text; `small`, or between backticks in the letters of code."""
        kind = " ".join(filter(None, (size, "code" if line.startswith("`") else "")))
        mark = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x}" y="{y}"{mark} text-anchor="{anchor}">{html.escape(line.strip("`"))}</text>')
        self.reach(y + 6)

    def box(self, x, y, w, lines, kind="box", h=None):
        """A box with a heading, and small lines below it."""
        h = h or 14 + 17 * len(lines)
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="6"/>')
        for number, line in enumerate(lines):
            self.text(x + w / 2, y + 21 + 17 * number, line, "" if number == 0 else "small")
        self.reach(y + h)
        return y + h

    def frame(self, x, y, w, h, label, anchor="start"):
        self.parts.insert(0, f'<rect class="plain" x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>')
        self.text(x + 10 if anchor == "start" else x + w / 2, y + 17, label, "small", anchor)
        self.reach(y + h)

    def arrow(self, *points, kind="", label="", at=None):
        path = "M" + " L".join(f"{x} {y}" for x, y in points)
        self.parts.append(f'<path class="{kind}line" d="{path}"/>')
        (x0, y0), (x, y) = points[-2:]
        dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
        tip = ((x, y), (x - 7 * dx - 4 * dy, y - 7 * dy - 4 * dx), (x - 7 * dx + 4 * dy, y - 7 * dy + 4 * dx))
        self.parts.append(f'<path class="{kind}tip" d="M' + " L".join(f"{a} {b}" for a, b in tip) + ' Z"/>')
        if label:
            self.text(*(at or (x + 6, (y0 + y) / 2 + 4)), label, "small", "start")

    def svg(self):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.bottom + 8}" '
                f'viewBox="0 0 {WIDTH} {self.bottom + 8}" role="img" aria-label="{html.escape(self.about)}">')
        return "\n".join(["<!-- SPDX-License-Identifier: Apache-2.0; drawn by docs/site/diagrams.py -->", head,
                          f"<title>{html.escape(self.title)}</title>", f"<style>{STYLE}</style>", *self.parts, "</svg>\n"])


def where_a_trace_goes():
    d = Drawing("Where a trace goes",
                "The recording thread encodes spans; batch or spool keeps ended traces; a background thread "
                "encodes requests and sends them to MLflow.")
    d.frame(6, 6, 428, 216, "the recording thread")
    y = d.box(70, 32, 300, ["`start_trace, start_span`", "sampled or not; the span becomes current"])
    d.arrow((220, y), (220, y + 18))
    y = d.box(70, y + 18, 300, ["`inputs, outputs, attribute, usage`", "encoded at once, into the span's block"])
    d.arrow((220, y), (220, y + 18))
    y = d.box(70, y + 18, 300, ["the root span ends", "user, session and keys are written on it"])
    d.arrow((220, y), (220, y + 14), (115, y + 14), (115, y + 40))
    d.arrow((220, y), (220, y + 14), (325, y + 14), (325, y + 40))
    d.text(220, y + 34, "an ended trace", "small")
    top = y + 40
    d.box(16, top, 198, ["`batch`", "a queue in memory;", "full: drops, or waits"])
    y = d.box(226, top, 198, ["`spool`", "a file on the disk;", "outlives the process"])
    d.arrow((115, y), (115, y + 46))
    d.arrow((325, y), (325, y + 46))
    start = y + 16
    y = d.box(16, y + 46, 408, ["retry (spool retries by itself)",
                                "backs off, retries, splits a batch, quarantines a span"])
    d.arrow((220, y), (220, y + 18))
    y = d.box(70, y + 18, 300, ["`mlflow_exporter`", "one OTLP request for many traces"])
    d.arrow((220, y), (220, y + 18))
    y = d.box(70, y + 18, 300, ["`beast_transport`", "or your own: HTTP, TLS, proxies, credentials"])
    d.frame(6, start, 428, y + 14 - start, "a background thread", "middle")
    d.arrow((180, y), (180, y + 56), label="spans", at=(134, y + 40))
    d.arrow((260, y), (260, y + 56), label="request IDs, previews", at=(268, y + 40))
    d.box(70, y + 56, 300, ["MLflow", "stores each trace once, however often it is sent"], "warm")
    return d


def what_is_current():
    d = Drawing("What is current where", "Three context policies: one current span per thread, one per task, and none.")
    d.frame(6, 6, 428, 216, "thread_local_context: one current span for each thread")
    d.text(110, 46, "thread 1", "small")
    d.box(16, 54, 188, ["trace of ana"], h=34)
    d.arrow((110, 88), (110, 104))
    d.box(16, 104, 188, ["`start_span`", "child of what is current"])
    d.text(330, 46, "thread 2", "small")
    d.box(236, 54, 188, ["trace of ben"], h=34)
    d.arrow((330, 88), (330, 104))
    d.box(236, 104, 188, ["`start_span`", "child of what is current"])
    d.arrow((110, 152), (110, 184), (170, 184), kind="warm-")
    d.box(170, 160, 254, ["`tracer.bind, capture`", "pass it to a pool, timer or callback"], "warm")
    d.frame(6, 236, 428, 196, "coroutine_context: one for each task, whichever thread runs it")
    d.text(60, 276, "thread 1", "small")
    d.text(60, 332, "thread 2", "small")
    d.box(100, 258, 100, ["task of ana"], h=34)
    d.box(206, 258, 100, ["task of ben"], "warm", h=34)
    d.box(312, 258, 108, ["task of ana"], h=34)
    d.box(100, 314, 100, ["task of cem"], h=34)
    d.box(206, 314, 214, ["task of ben, resumed"], "warm", h=34)
    d.arrow((256, 292), (256, 314), kind="warm-")
    d.text(220, 374, "after each co_await, the same span is current as before", "small")
    d.text(220, 392, "mt::co_spawn and mt::branch start a task", "small")
    d.text(220, 410, "inside the span that is current there", "small")
    d.frame(6, 446, 428, 142, "explicit_context: nothing is current")
    d.box(16, 474, 188, ["`trace.start_span`", "its child"])
    d.box(236, 474, 188, ["`span.start_span`", "its child"])
    d.arrow((204, 498), (236, 498))
    d.text(220, 546, "the object is the parent:", "small")
    d.text(220, 564, "for callbacks that find their request by a pointer", "small")
    return d


def failures():
    d = Drawing("What happens after a failure", "A response or an error has one of four outcomes: delivered, wait, divide, "
                                             "put_aside. Each says what happens to the spans.")
    y = d.box(90, 8, 260, ["an attempt to deliver", "a response, or an error without one"])
    d.arrow((220, y), (220, y + 18))
    y = d.box(90, y + 18, 260, ["`outcome_of`", "the same for retry, spool and exporters"])
    rows = [("delivered", "2xx, as OTLP or MLflow responds", "exported: removed from the queue or the file", "box"),
            ("wait", "no connection, certificate, 401, 429, 503 …", "everything waits, with backoff; nothing is lost", "box"),
            ("divide", "500, a response of a proxy in between", "sent in halves, while others are accepted", "warm"),
            ("put_aside", "400, 413, 422", "sent in halves; one that fails alone is quarantined", "warm")]
    d.parts.append(f'<path class="line" d="M220 {y} L220 {y + 12} L20 {y + 12} L20 {y + 24 + 60 * 3 + 30}"/>')
    top = y + 24
    for number, (name, cause, effect, kind) in enumerate(rows):
        y = top + number * 60 + 6
        d.parts.append(f'<rect class="{kind}" x="44" y="{y}" width="388" height="48" rx="6"/>')
        d.text(54, y + 29, f"`{name}`", "", "start")
        d.text(136, y + 20, cause, "small", "start")
        d.text(136, y + 38, effect, "small", "start")
        d.arrow((20, y + 24), (44, y + 24), kind="warm-" if kind == "warm" else "")
    y += 48
    d.arrow((220, y), (220, y + 26))
    d.text(230, y + 18, "in each case", "small", "start")
    y = d.box(44, y + 26, 388, ["`account(), last_error(), status()`",
                                "started = exported + failed + dropped + queued + open"])
    return d


DIAGRAMS = {"where-a-trace-goes": where_a_trace_goes, "what-is-current": what_is_current, "failures": failures}


def stale():
    """Which pictures are not what this file draws."""
    return [f"docs/images/{name}.svg is not what docs/site/diagrams.py draws: run it" for name, draw in DIAGRAMS.items()
            if not (IMAGES / f"{name}.svg").exists() or (IMAGES / f"{name}.svg").read_text() != draw().svg()]


if __name__ == "__main__":
    for drawn, drawing in DIAGRAMS.items():
        (IMAGES / f"{drawn}.svg").write_text(drawing().svg())
