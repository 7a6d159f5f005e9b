#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the built site: each link, anchor, picture, script and style of each page is in it, and nothing that a page
loads comes from elsewhere: check.py SITE"""
import html.parser
import pathlib
import sys
import urllib.parse

LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("use", "href")}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.twice = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" or (tag, name) == ("a", "name"):
                if value in self.ids and name == "id":
                    self.twice.append(value)
                self.ids.add(value)
            elif name in ("href", "src") and value is not None:
                self.links.append((tag, name, value))


def main(site):
    site = pathlib.Path(site).resolve()
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    faults, count = [], 0
    for path, page in pages.items():
        here = path.relative_to(site)
        faults += [f"{here}: two elements have the id {one}" for one in page.twice]
        for tag, name, link in page.links:
            count += 1
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                if (tag, name) in LOADED and parts.scheme != "data":
                    faults.append(f"{here}: loads {link}")
                continue
            if here.name == "404.html":
                continue  # shown at any address
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists() or not target.is_relative_to(site):
                faults.append(f"{here}: {link} leads nowhere")
            elif parts.fragment and target in pages and tag == "a":
                anchor = urllib.parse.unquote(parts.fragment)
                if anchor not in pages[target].ids:
                    faults.append(f"{here}: {link}: no such anchor")
    print("\n".join(faults[:100]) if faults else f"{len(pages)} pages, {count} links: each leads somewhere")
    return bool(faults) or not pages


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
