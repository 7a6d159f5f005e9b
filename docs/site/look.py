#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Photographs the built site at the width of a desktop and of a phone, light and dark, tries its search, and checks
each page for what does not fit, and with axe: look.py SITE FOLDER [AXE.js]

Needs Chromium and PyPI's playwright. No page may ask the network for anything.
"""
import json
import pathlib
import sys

from playwright.sync_api import sync_playwright

PAGES = ["index.html", "tutorial.html", "reliability.html", "analysis.html", "explanation/where-a-trace-goes.html",
         "explanation/what-is-current.html", "explanation/failures.html", "explanation/measurements.html",
         "reference/index.html", "reference/names.html", "reference/spans/tracer.html", "reference/pipeline/retry.html",
         "reference/concepts.html", "cookbook.html", "web.html", "production.html", "devices.html", "security.html", "from_python.html",
         "options.html", "troubleshooting.html", "performance.html", "project/changelog.html", "source/examples/chat_server/index.html"]
SEARCHES = {"session": "session", "retry": "retry", "user": "tutorial", "spool": "spool", "start_trace": "tracer",
            "mt::batch": "batch", "coroutine": "coroutine", "MLFLOW_TRACKING_URI": "production"}


def main(site, folder, axe=None):
    site, folder = pathlib.Path(site).resolve(), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    faults = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for width, height, scheme in ((1440, 1000, "light"), (390, 844, "light"), (1440, 1000, "dark"), (390, 844, "dark")):
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.on("request", lambda asked: faults.append(f"asked the network: {asked.url}")
                    if asked.url.startswith("http") else None)
            page.on("pageerror", lambda error: faults.append(f"script: {error}"))
            for name in filter(lambda one: (site / one).exists(), PAGES):
                page.goto(f"file://{site}/{name}")
                page.wait_for_timeout(150)
                label = name.removesuffix(".html").replace("/", "_")
                page.screenshot(path=folder / f"{label}_{width}_{scheme}.png")
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if wide > 0:
                    faults.append(f"{name} at {width}: {wide} pixels wider than the screen")
                if axe:
                    page.evaluate(pathlib.Path(axe).read_text())
                    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa']})")
                    faults += [f"{name} at {width}, {scheme}: axe: {one['id']}: {one['help']}: " +
                               "; ".join(node["html"][:120] for node in one["nodes"][:3]) for one in found["violations"]]
            if width == 1440 and scheme == "light":
                for asked, expected in SEARCHES.items():
                    page.goto(f"file://{site}/index.html")
                    page.keyboard.press("/")
                    page.wait_for_timeout(300)
                    page.keyboard.type(asked)
                    try:
                        page.wait_for_selector(".md-search-result__item", timeout=15000)
                    except Exception:
                        faults.append(f"search for {asked}: nothing")
                        continue
                    page.wait_for_timeout(500)
                    found = page.eval_on_selector_all(".md-search-result__item > a", "all => all.map(one => one.href)")
                    page.screenshot(path=folder / f"search_{asked.replace(':', '')}.png")
                    print(f"search {asked}:", ", ".join(one.rpartition("/site/")[2].partition("?")[0] for one in found[:5]))
                    if not any(expected in one.partition("?")[0] for one in found[:5]):
                        faults.append(f"search for {asked}: no page of {expected} among the first five")
            context.close()
        browser.close()
    print("\n".join(dict.fromkeys(faults)) or "nothing to complain about")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
