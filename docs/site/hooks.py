# SPDX-License-Identifier: Apache-2.0
"""What mkdocs builds besides docs/*.md: the reference, the files that pages link to, and links into the reference."""
import html
import logging
import pathlib
import posixpath
import re
import sys

from mkdocs.structure.files import File

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import diagrams
import reference as reference_pages

ROOT = reference_pages.ROOT
log = logging.getLogger("mkdocs.hooks")

# Pages of the repository's root that belong to the site.
ROOT_PAGES = {"README.md": "index.md", "CHANGELOG.md": "project/changelog.md",
              "CONTRIBUTING.md": "project/contributing.md", "SECURITY.md": "project/security.md"}
LANGUAGES = {".hpp": "cpp", ".cpp": "cpp", ".py": "python", ".sh": "sh", ".json": "json", ".cmake": "cmake",
             ".txt": "text", ".md": "markdown", ".html": "html", ".js": "js", ".css": "css", ".proto": "proto"}
FENCE = re.compile(r"^( *)(```|~~~)")

reference = None
sources = {}  # path in the repository -> page of the site


def on_config(config):
    global reference
    sources.clear()
    reference, problems = reference_pages.build(ROOT / "build/docs")
    for problem in problems + diagrams.stale():
        log.warning(problem)
    config["nav"] = existing(config["nav"])
    for entry in config["nav"]:
        if "Reference" in entry:
            entry["Reference"] = reference.nav()
    return config


def existing(entries):
    """Without pages that are not there: one that was renamed is then a page outside the nav, which is an error."""
    kept = []
    for entry in entries:
        page = entry if isinstance(entry, str) else next(iter(entry.values()))
        if isinstance(page, list):
            kept.append({next(iter(entry)): existing(page)})
        elif not page.endswith(".md") or page in ROOT_PAGES.values() or (ROOT / "docs" / page).exists():
            kept.append(entry)
    return kept


def on_files(files, config):
    for path, text in reference.pages.items():
        add(files, config, path, text)
    for path, page in ROOT_PAGES.items():
        if path != "README.md":
            add(files, config, page, (ROOT / path).read_text())
    queue = [(file.src_uri, file.content_string) for file in files if file.src_uri.endswith(".md")]
    seen = set()
    for page, text in queue:
        for target in re.findall(r"\]\(([^)\s#]+)", text):
            path = repository_path(page, target)
            if path and path not in seen and (ROOT / path).exists() and not page_of(path):
                seen.add(path)
                add_source(files, config, path)
    return files


def add(files, config, path, text):
    if files.get_file_from_path(path) is None:
        files.append(File.generated(config, path, content=text))


def repository_path(page, target):
    """Where in the repository a link leads, unless it is to a page of docs/ or elsewhere."""
    if ":" in target or target.startswith("/"):
        return None
    base = next((posixpath.dirname(path) for path, made in ROOT_PAGES.items() if made == page and path != "README.md"),
                posixpath.join("docs", posixpath.dirname(page)))
    path = posixpath.normpath(posixpath.join(base, target))
    if page.startswith("reference/"):
        path = re.sub(r"^(\.\./)+|^docs/", "", path)
        return path if path.startswith("include/") else None
    return None if path.startswith(("docs/", "..")) and base.startswith("docs") else path


def page_of(path):
    """The page for a file of the repository, where it has one of its own."""
    path = path.rstrip("/")
    if path in ROOT_PAGES:
        return ROOT_PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return sources.get(path)


def add_source(files, config, path):
    """Shows a file, or the files of a folder, as they stand in the repository."""
    whole = ROOT / path
    page = f"source/{path}{'/index' if whole.is_dir() else ''}.md"
    sources[path] = page
    if whole.is_dir():
        inside = sorted(one for one in whole.rglob("*")
                        if one.is_file() and one.stat().st_size < 100_000 and is_text(one))
        lines = [f"# {path}/\n"]
        for one in inside:
            name = one.relative_to(whole).as_posix()
            lines.append(f"- [`{name}`]({name}.md)")
            if f"{path}/{name}" not in sources:
                add_source(files, config, f"{path}/{name}")
        text = "\n".join(lines)
    else:
        code = whole.read_text(errors="replace")
        if len(code) > 200_000:
            code = code[:20_000].rpartition("\n")[0] + "\n… (the first 20,000 characters)"
        ticks = "`" * max(3, 1 + max(map(len, re.findall(r"`+", code)), default=0))
        language = LANGUAGES.get(whole.suffix, "cmake" if whole.name == "CMakeLists.txt" else "text")
        text = f"# {path}\n\n{ticks}{language}\n{code.rstrip()}\n{ticks}\n"
    add(files, config, page, f"---\ntitle: {path}\nsearch:\n  exclude: true\nhide: [toc]\n---\n\n{text}\n")


def is_text(path):
    return path.suffix in LANGUAGES or path.name in ("CMakeLists.txt", "Dockerfile", "Makefile")


def on_page_markdown(markdown, page, config, files):
    here = page.file.src_uri
    if here.startswith("source/"):
        return markdown

    def link(match):
        target, anchor = match[1], match[2] or ""
        path = repository_path(here, target)
        made = path and (None if here.startswith("reference/") else reference_page(path)) or path and page_of(path)
        if not made:
            return match[0]
        return "](" + posixpath.relpath(made, posixpath.dirname(here) or ".") + anchor + ")"

    if here == "index.md":
        markdown = with_programs(markdown)
    lines, in_code = [], False
    for line in markdown.split("\n"):
        if FENCE.match(line):
            in_code = not in_code
        elif not in_code:
            line = re.sub(r"\[(\w+\.md)\](?=\(\1[#)])", lambda match: f"[{title_of(match[1])}]", line)
            line = re.sub(r"\]\(([^)\s#]+)(#[^)\s]*)?\)", link, line)
            # Python-Markdown wants an empty line before a list.
            item = r"- |\d+\. "
            if re.match(item, line) and lines and lines[-1].strip() and not re.match(item + r"|\s", lines[-1]):
                lines.append("")
        lines.append(line)
    return "\n".join(lines)


def title_of(page):
    """A link that shows the name of a file, as on GitHub, shows the title of that page on the site."""
    return re.search(r"^# (.*)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)[1]


def with_programs(markdown):
    """The introduction of README.md, its first program with what it writes, and the section with the second one."""
    readme = (ROOT / "README.md").read_text()
    introduction = re.search(r"^# .*?\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)[1].strip()
    program = re.search(r"^```cpp\n.*?^```\n\n.*?^```text\n.*?^```$", readme, re.MULTILINE | re.DOTALL)[0]
    begin = r'^(?<!</a>\n)(?=(?:<a id="[^"]*"></a>\n+)*## )'  # a heading, with the older anchors above it
    sections = [one for one in re.split(begin, readme, flags=re.MULTILINE) if "\n```cpp\n" in one]
    return (markdown.replace("<!-- the introduction of README.md -->", introduction)
            .replace("<!-- the first program of README.md -->", program)
            .replace("<!-- the section of README.md with the second program -->", sections[1].strip()))


def reference_page(path):
    """A header is linked to what it says, not to its source."""
    header = path.removeprefix("include/mlflow/trace/")
    if header == path or reference is None:
        return None
    for page in (f"reference/{header.removesuffix('.hpp')}.md", f"reference/{header}/index.md"):
        if page in reference.pages:
            return page
    return None


def with_anchors(content):
    """Each message or symptom, the first cell of a row, has an anchor made of its first words, and a link to it."""
    taken = set(re.findall(r' id="([^"]*)"', content))

    def anchored(match):
        words = re.findall(r"[a-z0-9_]+", html.unescape(re.sub(r"<[^>]*>", "", match[2])).lower())[:7]
        anchor = made = "-".join(words)
        number = 1
        while not words or anchor in taken:
            number += 1
            anchor = f"{made}-{number}".strip("-")
        taken.add(anchor)
        return (f'{match[1]} id="{anchor}">{match[2]}{match[3]}'
                f'<a class="headerlink" href="#{anchor}" title="Link to this message">¶</a>')

    def table(match):
        first_cell = r"<tr>\n<td>.*?</td>"
        if "<th>Message</th>" in match[0]:
            return re.sub(first_cell, lambda cell: re.sub(r"(<code)>([^<]*)(</code>)", anchored, cell[0]), match[0],
                          flags=re.DOTALL)
        return re.sub(r"(<tr>\n<td)>(.*?)()(?=</td>)", anchored, match[0], flags=re.DOTALL)

    return re.sub(r"<table>.*?</table>", table, content, flags=re.DOTALL)


def breakable(code):
    """Code in a table, which may be broken between the parts of a long name rather than anywhere."""
    return re.sub(r"[^\s]{13,}", lambda word: re.sub(r"((?<=[A-Za-z0-9])_|(?<!mt)::|(?:&lt;)|,|/)(?=[^\s]{3})", r"\1<wbr>", word[0]), code[0])


def fits_a_phone(rows):
    """Whether the longest words of all columns fit beside each other, in 350 pixels, and no narrow column is very long."""
    def width(cell):
        words = [0]
        for code, text in re.findall(r"<code>(.*?)</code>|([^<]+)|<[^>]*>", cell):
            plain = html.unescape(re.sub(r"<(?!wbr)[^>]*>", "", code or text))
            words += [8 + 7.4 * len(word) if code else 8 * len(word) for word in re.split(r"\s|(?<=-)|<wbr>", plain)]
        return max(90, 16 + max(words))

    longest = max(len(re.sub(r"<[^>]*>", "", cell)) for row in rows for cell in row)
    return sum(max(map(width, column)) for column in zip(*rows)) <= 350 and (len(rows[0]) < 3 or longest <= 300)


def with_labels(table):
    """Each row of a table that is too wide for a phone is shown there as a list, with headings as labels from three columns on."""
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in re.findall(r"<tr>.*?</tr>", table[0], re.DOTALL)]
    labels = [html.escape(html.unescape(re.sub(r"<[^>]*>", "", cell)).strip()) for cell in rows[0]]
    if fits_a_phone(rows) or len(set(labels[1:])) < len(labels) - 1:
        return table[0]
    cells = iter(())

    def cell(match):
        nonlocal cells
        if match[0] == "<tr>":
            cells = iter(labels)
            return match[0]
        label = next(cells, "")
        return f'{match[0][:-1]} data-label="{label}">' if len(labels) > 2 and label not in ("", labels[0]) else match[0]

    return re.sub(r"<tr>|<td[^>]*>", cell, table[0]).replace("<table>", '<table class="plain labelled">', 1)


CODE = re.compile(r"<pre.*?</pre>|<a .*?</a>|<h\d.*?</h\d>|<code>([^<]*)</code>", re.DOTALL)
IN_CODE = re.compile(r'(<span class="n">mt</span><span class="o">::</span>)<span class="n">(\w+)</span>')


def on_page_content(content, page, config, files):
    """Names of the library lead to the reference, in sentences and in code."""
    here = page.file.src_uri
    if here.startswith("source/"):
        return content
    in_reference = here.startswith("reference/")

    def url(name):
        place = reference.url_of(name)
        if not place:
            return None
        if place[0] == here:
            return f"#{place[1]}"
        target = files.get_file_from_path(place[0])
        return f"{target.url_relative_to(page.file)}#{place[1]}" if target else None

    def span(match):
        if match[1] is None:
            if match[0].startswith("<pre"):
                return IN_CODE.sub(in_code, match[0])
            return match[0]
        name = re.match(r"(?:mt::|mlflow::trace::)?([A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)", match[1])
        if not name or not (match[1].startswith(("mt::", "mlflow::trace::")) or in_reference and name[0] == match[1]):
            return match[0]
        where = url(name[1])
        return f'<a class="name" href="{where}">{match[0]}</a>' if where else match[0]

    def in_code(match):
        where = url(match[2])
        return f'{match[1]}<a class="n" href="{where}">{match[2]}</a>' if where else match[0]

    def inlined(match):
        """A diagram takes the colours of the page."""
        svg = ROOT / "docs/images" / posixpath.basename(match[1])
        text = re.sub(r"<!--.*?-->|<style>.*?</style>|<title>.*?</title>", "", svg.read_text(), flags=re.DOTALL)
        return f'<div class="diagram">{text.strip()}</div>'

    content = re.sub(r'<p><img alt="[^"]*" src="([^"]*images/[\w-]+\.svg)" ?/></p>', inlined, content)
    content = CODE.sub(span, content)
    if here == "troubleshooting.md":
        content = with_anchors(content)
    content = re.sub(r"<table>.*?</table>", lambda match: re.sub(r"(?<=>)[^<]+(?=</code>)", breakable, match[0]), content,
                     flags=re.DOTALL)
    if here == "options.md":
        content = re.sub(r"<table>(?=\s*<thead>\s*<tr>\s*<th>option</th>)", '<table class="plain stacked">', content)
    content = re.sub(r"<table>.*?</table>", with_labels, content, flags=re.DOTALL)
    content = content.replace("<table>", '<table class="plain">')
    # An option is not broken after the dashes that it begins with.
    content = re.sub(r"<pre.*?</pre>|<code>[^<]*", lambda match: match[0] if match[0].startswith("<pre") else re.sub(
        r"(?<![^\s>(='])-{1,2}\w{1,3}", r'<span class="whole">\g<0></span>', match[0]), content, flags=re.DOTALL)
    # A table that is wider than the screen scrolls by itself, by keyboard too.
    content = re.sub(r'(?=<table class="plain)', '<div class="wide" role="region" aria-label="Table" tabindex="0">', content)
    return content.replace("</table>", "</table></div>")
