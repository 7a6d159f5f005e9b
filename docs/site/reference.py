# SPDX-License-Identifier: Apache-2.0
"""The reference: Doxygen reads the public headers, and each header becomes a page of Markdown.

Everything in `mlflow::trace` outside `detail` is public. A public name without a comment is an error, apart from
members that say nothing of their own: see EXPLAINED.
"""
import html
import pathlib
import re
import subprocess
import unicodedata
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"

# In the order in which a reader meets them.
FOLDERS = ["", "spans", "metadata", "values", "context", "recording", "web", "pipeline", "spool", "exporters",
           "transports", "http", "environment", "client", "device", "static_memory", "platform", "testing", "core", "wire", "text",
           "memory", "detail"]

# Members that one sentence explains wherever they stand.
CONCEPTS = {
    "exporter": ["export_traces"],
    "deferring_exporter": ["flush", "shutdown", "account"],
    "linking_exporter": ["trace_url"],
    "interruptible_exporter": ["interrupt"],
    "reporting_exporter": ["last_error"],
    "progressing_exporter": ["progress"],
    "thread_safe_exporter": ["is_thread_safe"],
    "retrying_exporter": ["retries"],
    "composes": ["composes"],
    "platform": ["wall_nano", "monotonic_nano", "new_trace_id", "new_span_id", "report"],
    "context": ["slot", "is_ambient", "is_per_task", "holds"],
    "recording": ["sample"],
    "redactor": ["redact"],
    "transport": ["send"],
}
EXPLAINED = {member: f"As the concept `{concept}` asks." for concept, members in CONCEPTS.items() for member in members}
EXPLAINED |= {
    "begin": "The first element.",
    "end": "Behind the last element.",
    "empty": "Whether there is no element.",
    "size": "How many elements there are.",
    "operator*": "The element.",
    "operator->": "The element.",
    "operator++": "Goes to the next element.",
    "options": "Its options.",
    "iterator": "Goes from element to element.",
    "inner_options": "The options of the inner exporter.",
    "take_others_from": "For `batch`, which says before the first export where `retry` finds other traces that wait.",
    "delete_tag": "Deletes the tag.",
    "get_assessment": "The assessment of that ID.",
    "delete_assessment": "Deletes the assessment.",
    "lock": "Locks, as of a mutex.",
    "unlock": "Unlocks, as of a mutex.",
}
# Members that are public only for other parts of the library.
INTERNAL = {f"{owner}::{member}" for owner in ("span_data", "trace_data") for member in (
    "next_chain", "chain_bytes", "trace", "watched", "process", "generation", "chunks", "small_uses", "block", "slot",
    "is_looked_at", "has_blocks", "recycle", "leave", "kept_bytes", "strip", "memory_for")} | {
        "trace_entries::refer_to", "basic_span::adopt", "basic_span::hide"}
# Members that do what those of another class do, as far as there is anything to do.
LIKE = {"unrecorded_span": "basic_span", "unrecorded_trace": "basic_trace", "unrecorded_scope": "basic_scope"}
# What programs make by a call and hold in `auto`: the call shows it.
MADE_BY = {"basic_span": r"\bstart_span\(", "basic_trace": r"\bstart_trace\(", "basic_scope": r"\.scope\("}
COMPARISONS = {"operator==", "operator!=", "operator<=>", "operator<"}


def run_doxygen(out):
    """Writes XML to `out`/xml; gives its warnings."""
    sources = out / "include"
    for header in sorted(INCLUDE.rglob("*.hpp")):
        target = sources / header.relative_to(INCLUDE)
        text = readable(header.read_text())
        if not target.exists() or target.read_text() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    for stale in set(sources.rglob("*.hpp")):
        if not (INCLUDE / stale.relative_to(sources)).exists():
            stale.unlink()
    settings = (pathlib.Path(__file__).with_name("Doxyfile")).read_text()
    settings += f"INPUT = {sources}\nSTRIP_FROM_PATH = {sources}\nOUTPUT_DIRECTORY = {out}\n"
    done = subprocess.run(["doxygen", "-"], input=settings, text=True, capture_output=True)
    problems = done.stderr.replace(str(sources), "include").strip().splitlines()
    if done.returncode and not problems:
        problems = [f"doxygen ended with status {done.returncode}"]
    return problems


def readable(text):
    """A header as Doxygen understands it, line by line the same."""
    text = re.sub(r"^inline namespace MLFLOW_TRACE_ABI \{$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\} // namespace MLFLOW_TRACE_ABI$", "", text, flags=re.MULTILINE)
    # `detail` is not public, and Doxygen does not understand all of it.
    text = re.sub(r"^namespace detail \{\n.*?^\} // namespace detail$", lambda m: "\n" * m[0].count("\n"), text,
                  flags=re.MULTILINE | re.DOTALL)
    # What only derived classes of the library use is not public.
    text = re.sub(r"^protected:$", "private:", text, flags=re.MULTILINE)
    # One comment for several members of one declaration.
    text = re.sub(r"^( +static const \w+ [\w, ]+,)\n +([\w, ]+;)$", r"\1 \2\n", text, flags=re.MULTILINE)
    # Friends are no members.
    text = re.sub(r"^( +template <[^<>;{}]*>\n)?( +friend (class|struct) [^;]*;)$", lambda m: "\n" * m[0].count("\n"),
                  text, flags=re.MULTILINE)
    # Doxygen takes a ' between backticks for the end of a quotation, but not between double ones.
    def quoted(span):
        return f"``{span[2]}``" if span[1] == "`" and "'" in span[2] else span[0]

    text = re.sub(r"^ *///.*(\n *///.*)*", lambda m: re.sub(r"(`+)([^`]+)\1", quoted, m[0]), text, flags=re.MULTILINE)
    # Doxygen joins a comment behind a member with one above the next.
    text = re.sub(r"///< (.*)$", r"/**< \1 */", text, flags=re.MULTILINE)
    # A comment that nothing follows is about the header. Its empty line pays for the command.
    return re.sub(r"^((?:///.*\n)+)\n", r"/// @file\n\1", text, count=1, flags=re.MULTILINE)


@dataclass
class Entity:
    """A public name: a compound of Doxygen, or a member."""
    kind: str
    name: str  # without mlflow::trace::
    header: str  # e.g. spans/tracer.hpp
    line: int
    node: ET.Element
    brief: str = ""
    text: str = ""
    members: list = field(default_factory=list)

    @property
    def anchor(self):
        return anchor_of(self.name)

    @property
    def documented(self):
        return bool(self.brief or self.text)


def anchor_of(name):
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name.replace("::", ".").replace("operator", "operator ")
                  .replace("&&", "and").replace("||", "or").replace("==", "equal").replace("!", "not")
                  .replace("*", "star").replace("++", "next").replace("->", "arrow")
                  .replace("<", "of ").replace("~", "end ").replace("()", "call")).strip("-")


def clean(code):
    """Types as clang-format writes them."""
    code = re.sub(r"\s+", " ", code).strip()
    code = code.replace("mlflow::trace::", "").replace("< ", "<").replace(" >", ">")
    code = re.sub(r" ?(&&|&|\*) ?(\.\.\.)?(?=[\w,)>.=]|$)", lambda m: m[1] + (m[2] or "") + " ", code)
    code = re.sub(r"(&&|&|\*|\.\.\.) +(?=[,)>]|$)", r"\1", code)
    code = re.sub(r"(\w|\)) (&&|&) ?noexcept", r"\1 \2 noexcept", code)
    return re.sub(r"(?<=[\w)])=(?=[\w{(\"'-])", " = ", code).strip()


def text_of(node):
    return "" if node is None else "".join(node.itertext())


class Reference:
    """All pages, from the XML in `folder`."""

    def __init__(self, folder):
        self.problems = []
        self.entities = []  # of namespaces, the compounds and the members of each
        self.headers = {}  # header -> description
        self.by_name = {}
        self.defaults = declared_defaults()
        self.layers = layers()
        self.guides = guides()
        self.read(folder)
        self.check()
        self.pages = self.write()

    # Reading

    def read(self, folder):
        compounds = []
        for file in sorted(folder.glob("*.xml")):
            if file.name.startswith(("index", "Doxyfile")):
                continue
            compounds += ET.parse(file).getroot().findall("compounddef")
        files = [one for one in compounds if one.get("kind") == "file"]
        for one in files:
            header = one.find("location").get("file").removeprefix("mlflow/trace/")
            self.headers[header] = self.describe(one)
        owners = {}
        for one in compounds:
            kind, name = one.get("kind"), one.findtext("compoundname")
            if kind not in ("class", "struct", "concept", "namespace") or not name.startswith("mlflow::trace"):
                continue
            name = clean(name)
            if kind == "namespace":
                self.read_namespace(one, name)
                continue
            if one.get("prot", "public") != "public" or "detail::" in name:
                continue
            entity = self.entity(one, kind, name)
            if entity.header in ("fwd.hpp", "declared.hpp") and entity.documented:
                entity.header, entity.line = declared_with_comment(name)
            if not entity.header or entity.header in ("fwd.hpp", "declared.hpp"):
                continue
            entity.members = self.members(one, name)
            owners[name] = entity
        hidden = set()
        for name in sorted(owners, key=len):
            scope = name.rpartition("::")[0] if "<" not in name else re.sub(r"<.*>", "", name).rpartition("::")[0]
            if scope in hidden:
                hidden.add(name)
            elif scope in owners:
                owners[scope].members.append(owners[name])
            elif scope and scope not in self.namespaces:
                hidden.add(name)  # inside something that is not public
            else:
                self.entities.append(owners[name])
        for entity in owners.values():
            entity.members.sort(key=lambda member: member.line)
        self.entities.sort(key=lambda entity: entity.line)
        for entity in self.entities:
            self.index(entity)

    namespaces = {"field", "total"}

    def read_namespace(self, node, name):
        name = name.removeprefix("mlflow::trace").removeprefix("::")
        if "detail" in name:
            return
        for member in self.members(node, name):
            if not member.name.startswith("detail::"):
                self.entities.append(member)

    def index(self, entity):
        self.by_name.setdefault(entity.name, entity)
        for member in entity.members:
            self.index(member)

    def entity(self, node, kind, name):
        location = node.find("location")
        file = location.get("bodyfile") or location.get("file")
        line = int(location.get("line"))
        one = Entity(kind, name, file.removeprefix("mlflow/trace/"), line, node)
        one.brief = self.render(node.find("briefdescription")).strip()
        one.text = self.render(node.find("detaileddescription")).strip()
        return one

    def members(self, node, scope):
        found = []
        for member in node.iter("memberdef"):
            kind, name = member.get("kind"), member.findtext("name")
            if member.get("prot") != "public" or not name or name.startswith("@") or name.endswith("_"):
                continue
            if kind == "friend" and not name.startswith("operator"):
                continue  # a class
            if "=delete" in text_of(member.find("argsstring")).replace(" ", "") or name.startswith("~"):
                continue
            if "detail::" in text_of(member.find("definition")).partition("(")[0] and "::detail::" in (
                    member.findtext("qualifiedname") or ""):
                continue
            name = re.sub(r"^operator (?=\W)", "operator", name)
            found.append(self.entity(member, kind, f"{scope}::{name}" if scope else name))
        return found

    # Checking

    def check(self):
        def missing(entity, owner):
            if entity.documented:
                return False
            short = entity.name.rpartition("::")[2]
            if "operator" in entity.name:
                short = "operator" + entity.name.rpartition("operator")[2]
            if owner is None:
                return not is_specialisation(entity)
            return entity.kind != "typedef" and not self.is_quiet(entity, owner)

        def visit(entity, owner):
            if is_specialisation(entity) and not entity.documented:
                return
            overloads = [one for one in (owner.members if owner else self.entities)
                         if one.name == entity.name or (one.line, one.header, one.kind) ==
                         (entity.line, entity.header, "variable")]
            if missing(entity, owner) and not any(one.documented for one in overloads):
                self.problems.append(
                    f"include/mlflow/trace/{entity.header}:{entity.line}: `{entity.name}` ({entity.kind}) has no comment")
            for member in entity.members:
                visit(member, entity)

        for entity in self.entities:
            visit(entity, None)

    @staticmethod
    def is_special(entity, owner):
        """A constructor or assignment that copies or moves, a default constructor, or one that takes the options."""
        short, base = entity.name.rpartition("::")[2], re.sub(r"<.*", "", owner.name).rpartition("::")[2]
        if short not in (base, "operator="):
            return False
        arguments = clean(text_of(entity.node.find("argsstring"))).partition(")")[0].lstrip("(")
        words = set(re.findall(r"\w+", arguments)) - {"const", "other", "others"}
        return words <= {base} or bool(words & {"options", "inner_options"})

    # Descriptions: XML to Markdown

    def describe(self, node):
        return "\n\n".join(filter(None, (self.render(node.find(part)).strip()
                                         for part in ("briefdescription", "detaileddescription"))))

    def render(self, node):
        if node is None:
            return ""
        return "\n\n".join(filter(None, (self.block(child) for child in node)))

    def block(self, node):
        if node.tag == "para":
            return self.paragraph(node)
        if node.tag in ("itemizedlist", "orderedlist"):
            mark = "-" if node.tag == "itemizedlist" else "1."
            return "\n".join(f"{mark:<4}" + self.render(item).replace("\n", "\n    ") for item in node)
        if node.tag in ("verbatim", "programlisting", "preformatted"):
            return self.code(node)
        if node.tag == "table":
            return self.table(node)
        if node.tag == "simplesect":
            return f"**{node.get('kind').capitalize()}:** " + self.render(node)
        if node.tag in ("blockquote",):
            return "> " + self.render(node).replace("\n", "\n> ")
        if node.tag in ("sect1", "sect2", "internal"):
            return self.render(node)
        if node.tag == "title":
            return f"**{self.inline(node)}**"
        raise ValueError(f"reference.py: <{node.tag}> of Doxygen is not handled")

    def paragraph(self, node):
        parts, line = [], html_text(node.text)
        for child in node:
            if child.tag in ("itemizedlist", "orderedlist", "verbatim", "programlisting", "preformatted", "table",
                             "simplesect", "blockquote"):
                parts += [line.strip(), self.block(child)]
                line = ""
            else:
                line += self.inline_node(child)
            line += html_text(child.tail)
        return "\n\n".join(filter(None, parts + [line.strip()]))

    def inline(self, node):
        return html_text(node.text) + "".join(self.inline_node(child) + html_text(child.tail) for child in node)

    def inline_node(self, node):
        if node.tag == "computeroutput":
            return code_span(text_of(node))
        if node.tag in ("bold", "emphasis"):
            mark = "**" if node.tag == "bold" else "*"
            return mark + self.inline(node) + mark
        if node.tag == "ref":
            return self.inline(node)
        if node.tag == "ulink":
            return f"[{self.inline(node)}]({node.get('url')})"
        if node.tag == "linebreak":
            return "<br>"
        signs = {"ndash": "–", "mdash": "—", "nonbreakablespace": " ", "le": "≤", "ge": "≥", "hellip": "…",
                 "rarr": "→", "larr": "←", "apos": "’", "copy": "©", "lsquo": "‘", "rsquo": "’",
                 "ldquo": "“", "rdquo": "”", "zwj": "", "prime": "′"}
        if node.tag in signs:
            return signs[node.tag]
        raise ValueError(f"reference.py: <{node.tag}> of Doxygen is not handled")

    @staticmethod
    def code(node):
        if node.tag == "programlisting":
            lines = []
            for line in node.iter("codeline"):
                out = ""
                for part in line.iter():
                    out += " " if part.tag == "sp" else (part.text or "")
                    if part is not line and part.tail:
                        out += part.tail
                lines.append(out)
            text = "\n".join(lines)
        else:
            text = text_of(node)
        return "```cpp\n" + text.strip("\n") + "\n```"

    def table(self, node):
        rows = [["".join(self.render(cell)).replace("\n", " ").replace("|", "\\|") for cell in row.findall("entry")]
                for row in node.findall("row")]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], "|" + "---|" * len(rows[0])] + lines[1:])

    # Signatures

    def template(self, node, name=None):
        if name in self.defaults:
            return self.defaults[name] + "\n"
        parameters = node.find("templateparamlist")
        if parameters is None:
            return ""
        if len(parameters) == 0:
            return "template <>\n"
        words = []
        for one in parameters.findall("param"):
            word = clean(text_of(one.find("type")))
            declared = one.findtext("declname")
            if declared and not word.endswith(" " + declared):
                word += " " + declared
            if one.find("defval") is not None:
                word += " = " + clean(text_of(one.find("defval")))
            words.append(word)
        out = wrap("template <", words, ">") + "\n"
        requires = node.find("requiresclause")
        if requires is not None:
            out += "    requires " + clean(text_of(requires)) + "\n"
        return out

    def signature(self, entity):
        node, kind = entity.node, entity.kind
        short = entity.name if kind in ("class", "struct", "concept") else None
        if kind == "concept":
            text = text_of(node.find("initializer")).replace("mlflow::trace::", "").strip()
            return re.sub(r"^template<", "template <", text).replace(" =  ", " = ") + ";"
        if kind in ("class", "struct"):
            bases = [("" if one.get("prot") == "public" else one.get("prot") + " ") + clean(text_of(one))
                     for one in node.findall("basecompoundref") if "detail::" not in text_of(one)]
            return (self.template(node, short) + f"{kind} {entity.name}" +
                    (f" : {', '.join(bases)}" if bases else "") + ";")
        name = entity.name.rpartition("::")[2] if "operator" not in entity.name else (
            "operator" + entity.name.rpartition("operator")[2])
        type_ = clean(text_of(node.find("type")))
        if kind == "enum":
            values = [text_of(one.find("name")) + (" " + clean(text_of(one.find("initializer")))
                      if one.find("initializer") is not None else "") for one in node.findall("enumvalue")]
            return wrap(f"enum class {name}" + (f" : {type_}" if type_ else "") + " { ", values, " };")
        if kind == "typedef":
            definition = clean(text_of(node.find("definition")))
            value = definition.partition(" = ")[2].strip() or type_
            value = re.sub(r"^typename (?=detail)", "", value)
            return self.template(node) + f"using {name} = {value};"
        if kind == "variable":
            start = text_of(node.find("initializer")).strip()
            start = re.sub(r"\s+", " ", start)
            if "\n" in text_of(node.find("initializer")).strip() or len(start) > 80:
                start = "= …" if start.startswith("=") else "{…}"
            static = "static " if node.get("static") == "yes" else ""
            extent = text_of(node.find("argsstring"))
            return (self.template(node) + f"{static}{type_} {name}{extent}" +
                    (" " if start.startswith("=") else "") + start + ";")
        words = [word for word in ("explicit", "static", "virtual") if node.get(word) == "yes" and word not in type_]
        if kind == "friend" and "friend" not in type_:
            words.append("friend")
        head = " ".join(words + [type_, name]).replace("  ", " ").strip()
        arguments = [clean(text_of(one.find("type"))) + (" " + one.findtext("declname") if one.findtext("declname") else "")
                     + (text_of(one.find("array")) if one.find("array") is not None else "")
                     + (" = " + clean(text_of(one.find("defval"))) if one.find("defval") is not None else "")
                     for one in node.findall("param")]
        args = text_of(node.find("argsstring"))
        after = clean(args[args.rfind(")") + 1:]) if "noexcept(" not in args and "->" not in args else ""
        if "->" in args:
            after = args[args.rfind("->"):]
        elif "noexcept(" in args:
            after = "noexcept(…)"
        after = after.replace("=default", "= default")
        if arguments == ["void"]:
            arguments = []
        return self.template(node) + wrap(head + "(", arguments, ")" + (" " + after if after else "") + ";")

    # Pages

    def write(self):
        pages, per_header = {}, {}
        for entity in self.entities:
            if is_specialisation(entity) and not entity.documented:
                continue
            per_header.setdefault(entity.header, []).append(entity)
        self.per_header = per_header
        reach = {umbrella: closure(umbrella) for umbrella in ("trace.hpp", "client.hpp", "bare_metal.hpp")}
        for header, entities in per_header.items():
            pages[self.page_of(header)] = self.header_page(header, entities, reach)
        for folder in FOLDERS[1:]:
            inside = [header for header in per_header if header.startswith(folder + "/")]
            if inside:
                pages[f"reference/{folder}/index.md"] = self.folder_page(folder, sorted(inside))
        pages["reference/index.md"] = self.overview()
        pages["reference/names.md"] = self.names()
        return pages

    @staticmethod
    def page_of(header):
        return "reference/" + header.removesuffix(".hpp") + ".md"

    def url_of(self, name):
        """Where this name, written without `mt::`, is explained: (page, anchor)."""
        name = name.removeprefix("mlflow::trace::")
        entity = self.by_name.get(name)
        while entity is None and "::" in name:
            name = name.rpartition("::")[0]
            entity = self.by_name.get(name)
        if entity is None or entity.header not in self.per_header:
            return None
        return self.page_of(entity.header), entity.anchor

    def header_page(self, header, entities, reach):
        file = pathlib.PurePosixPath(header).name
        lines = [f"---\ntitle: {file}\n---\n\n# {'/<wbr>'.join(f'&lt;mlflow/trace/{header}&gt;'.split('/'))}\n"]
        about = self.headers.get(header, "")
        if about:
            lines.append(about + "\n")
        inside = [f"`<mlflow/{'' if umbrella == 'trace.hpp' else 'trace/'}{umbrella}>`"
                  for umbrella, members in reach.items() if header in members and header != umbrella]
        note = f"Included by {' and '.join(inside)}. " if inside else ""
        lines.append(f'<p class="reference-note" markdown>{note}[Source](../{"../" * header.count("/")}include/mlflow/trace/{header})</p>\n')
        for entity in entities:
            lines.append(self.entity_part(entity, entities))
        return "\n".join(lines)

    def entity_part(self, entity, siblings):
        first = next(one for one in siblings if one.name == entity.name)
        if first is not entity:
            return ""
        overloads = [one for one in siblings if one.name == entity.name]
        kind = {"typedef": "alias"}.get(entity.kind, entity.kind)
        name = html.escape(entity.name.replace("<", "<\u200b") if len(entity.name) > 40 else entity.name)
        lines = [f"## {escape_heading(name)} <small>{kind}</small> {{: #{entity.anchor} }}\n"]
        lines += self.explained(overloads)
        if shown := self.examples(entity):
            lines.append(f'<p class="reference-note" markdown>Examples: {"; ".join(shown)}</p>\n')
        if entity.kind in ("class", "struct"):
            lines += self.class_members(entity)
        elif entity.kind == "enum":
            lines += self.enum_values(entity)
        return "\n".join(lines)

    def examples(self, entity, most=3):
        """Links to sections of the guides whose programs use this name: those that use it most, or for a name that is
        everywhere those that a reader meets first."""
        prefix = r"(?<![\w:])(?:mt::)?" if "::" in entity.name else r"\bmt::"
        name = re.compile(MADE_BY.get(entity.name) or prefix + re.escape(entity.name) + r"\b(?!::)")
        found = [(len(name.findall(one.code)), one) for one in self.guides]
        found = [pair for pair in found if pair[0]]
        if len(found) <= 8:
            found.sort(key=lambda pair: -pair[0])
        up = "../" * (entity.header.count("/") + 1)
        return [f"[{one.title}]({up}{one.page}#{one.anchor})" for _, one in found[:most]]

    def explained(self, overloads):
        """Declarations, and what they say. Overloads in a row without a comment of their own share the next one's."""
        lines = []
        for group in grouped(overloads):
            code = "\n".join(self.signature(one) for one in group)
            lines.append(f"```cpp\n{code}\n```\n")
            lines += [sections(whole(one)) + "\n" for one in group if one.documented]
        return lines

    def enum_values(self, entity):
        values = [(text_of(one.find("name")), self.describe(one)) for one in entity.node.findall("enumvalue")]
        if not any(text for _, text in values):
            return []
        return ["\n".join(f'<span id="{entity.anchor}.{name}"></span>`{name}`\n:   {indented(text) or "&nbsp;"}\n'
                          for name, text in values)]

    def class_members(self, entity):
        lines, done = [], set()
        for base in entity.node.findall("basecompoundref"):
            name = re.sub(r"<.*", "", clean(text_of(base)))
            known = self.by_name.get(name)
            if known and known.members:
                names = list(dict.fromkeys(member.name.rpartition("::")[2] for member in known.members
                                           if member.documented))
                lines.append(f"Has all members of `{name}`" +
                             (f": {', '.join(f'`{one}`' for one in names)}" if names else "") + ".\n")
        plain = [member for member in entity.members
                 if member.kind == "typedef" or self.is_field(member) or
                 not (member.documented or member.members) and self.is_quiet(member, entity)]
        types = [member for member in plain if member.kind == "typedef"]
        fields = [member for member in plain if self.is_field(member)]
        quiet = [member for member in plain if member not in types and member not in fields]
        if fields:
            lines.append(self.fields(fields))
        if types:
            lines.append(anchors(types, []) + "**Types**\n\n```cpp\n" + "\n".join(self.signature(one) for one in types) + "\n```\n")
            lines += [f"`{one.name.rpartition('::')[2]}`\n:   {indented(whole(one))}\n" for one in types if one.documented]
        for member in entity.members:
            if member in plain or member.name in done:
                continue
            done.add(member.name)
            overloads = [one for one in entity.members if one.name == member.name and one not in plain]
            short = member.name.removeprefix(entity.name + "::")
            lines.append(f"### {escape_heading(html.escape(short))} {{: #{member.anchor} }}\n")
            lines += self.explained(overloads)
            if not member.documented and (sentence := self.explanation(member, entity)):
                lines.append(sentence + "\n")
            if member.kind in ("class", "struct"):
                lines += self.class_members(member)
            elif member.kind == "enum":
                lines += self.enum_values(member)
        if quiet:
            lines.append(anchors(quiet, done) + "**Also**\n\n```cpp\n" + "\n".join(self.signature(one) for one in quiet) + "\n```\n")
            said = {}
            for one in quiet:
                if sentence := self.explanation(one, entity):
                    said.setdefault(sentence, []).append(f"`{one.name.removeprefix(entity.name + '::')}`")
            for sentence, names in said.items():
                lines.append(f"{', '.join(dict.fromkeys(names))}: {sentence[0].lower()}{sentence[1:]}\n")
        return lines

    @staticmethod
    def explanation(member, owner):
        if member.name in INTERNAL:
            return "For other parts of the library."
        if owner.name in LIKE:
            return f"As of `{LIKE[owner.name]}`, and records nothing."
        return EXPLAINED.get(member.name.removeprefix(owner.name + "::"))

    def is_quiet(self, member, owner):
        return bool(self.explanation(member, owner) or member.name.removeprefix(owner.name + "::") in COMPARISONS or
                    self.is_special(member, owner))

    @staticmethod
    def is_field(member):
        return member.kind == "variable" and member.name not in INTERNAL and (
            member.name.rpartition("::")[2] not in EXPLAINED or member.documented)

    def fields(self, fields):
        out = []
        for one in fields:
            declaration = self.signature(one).rstrip(";").replace("\n", " ")
            out.append(f'<span id="{one.anchor}"></span>`{declaration}`{{: .cpp-field }}\n:   {indented(whole(one)) or "&nbsp;"}\n')
        return "\n".join(out)

    def folder_page(self, folder, headers):
        about = self.layers.get(folder, "")
        lines = [f"---\ntitle: {folder}\n---\n\n# {folder}/\n", f"{about[:1].upper()}{about[1:]}.\n" if about else ""]
        return "\n".join(lines + [self.header_rows(headers, f"reference/{folder}/index.md")])

    def header_rows(self, headers, page):
        depth = page.count("/") - 1
        rows = []
        for header in headers:
            target = "../" * depth + header.removesuffix(".hpp") + ".md"
            if depth:
                target = header.split("/", 1)[1].removesuffix(".hpp") + ".md"
            names = []
            for one in self.per_header[header]:
                if one.name not in names and not is_specialisation(one):
                    names.append(one.name)
            rows.append(f"[`{pathlib.PurePosixPath(header).name}`]({target})\n:   " +
                        ", ".join(code_span(name) for name in names) + "\n")
        return "\n".join(rows)

    def overview(self):
        total = sum(1 for _ in self.distinct())
        lines = ["# Reference\n",
                 f"Every public name of the library, header by header: {total} names of namespace `mlflow::trace`, which "
                 "the examples call `mt`. What stands in `detail` is not public. "
                 "[All names](names.md) has them in alphabetical order.\n",
                 "`<mlflow/trace.hpp>` includes all that needs no other library; `<mlflow/trace/client.hpp>` all of "
                 "the client, and `<mlflow/trace/bare_metal.hpp>` what a device without an operating system needs.\n"]
        for folder in FOLDERS:
            headers = sorted(header for header in self.per_header if header.rpartition("/")[0] == folder)
            if not headers:
                continue
            about = self.layers.get(folder, "")
            lines.append(f"## {folder + '/' if folder else 'Common'}\n")
            if about:
                lines.append(f"{about[:1].upper()}{about[1:]}.\n")
            lines.append(self.header_rows_from_root(headers))
        return "\n".join(lines)

    def header_rows_from_root(self, headers):
        rows = []
        for header in headers:
            names = list(dict.fromkeys(one.name for one in self.per_header[header] if not is_specialisation(one)))
            rows.append(f"[`{pathlib.PurePosixPath(header).name}`]({header.removesuffix('.hpp')}.md)\n:   " +
                        ", ".join(code_span(name) for name in names) + "\n")
        return "\n".join(rows)

    def distinct(self):
        seen = set()
        for entities in self.per_header.values():
            for one in entities:
                if one.name not in seen and not is_specialisation(one):
                    seen.add(one.name)
                    yield one

    def names(self):
        lines = ["# All names\n"]
        letter = ""
        for one in sorted(self.distinct(), key=lambda entity: entity.name.lower()):
            first = one.name[0].upper() if one.name[0].isalpha() else "#"
            if first != letter:
                letter = first
                lines.append(f"\n## {letter}\n")
            target = one.header.removesuffix(".hpp") + ".md"
            kind = {"typedef": "alias"}.get(one.kind, one.kind)
            brief = one.brief if one.brief.count("`") % 2 == 0 else ""
            lines.append(f"[{code_span(one.name)}]({target}#{one.anchor}) <small>{kind}</small>\n:   {indented(brief or one.text) or '&nbsp;'}\n")
        return "\n".join(lines)

    def nav(self):
        """For mkdocs: overview, all names, then one section for each folder."""
        nav = [{"Overview": "reference/index.md"}, {"All names": "reference/names.md"}]
        if (ROOT / "docs/options.md").exists():
            nav.append({"All options": "options.md"})
        for folder in FOLDERS:
            headers = sorted(header for header in self.per_header if header.rpartition("/")[0] == folder)
            entries = [{pathlib.PurePosixPath(header).name: self.page_of(header)} for header in headers]
            if folder and entries:
                nav.append({folder: [f"reference/{folder}/index.md"] + entries})
            else:
                nav += entries
        return nav


@dataclass
class Section:
    """A section of a guide that has programs."""
    page: str
    title: str
    anchor: str
    code: str = ""


def guides():
    """The sections of docs/*.md that show C++: the tutorial and the cookbook first, the others in alphabetical order."""
    found = []
    first = ["tutorial.md", "cookbook.md"]
    for file in sorted((ROOT / "docs").glob("*.md"), key=lambda one: (one.name not in first, one.name != first[0], one.name)):
        section, taken, page_title, language = None, set(), "", None
        for line in file.read_text().splitlines():
            if fence := re.match(r"^ *```(\w*)", line):
                language = None if language is not None else fence[1]
            elif language is not None:
                if language == "cpp" and section:
                    section.code += line + "\n"
            elif heading := re.match(r"^(#+) (.*)$", line):
                text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[2]).replace("`", "")
                page_title = page_title or text.partition(":")[0]
                anchor = slug(text)
                while anchor in taken:
                    number = re.fullmatch(r"(.*)_(\d+)", anchor)
                    anchor = f"{number[1]}_{int(number[2]) + 1}" if number else f"{anchor}_1"
                taken.add(anchor)
                title = html_text(page_title if len(heading[1]) == 1 else f"{page_title}: {text}")
                section = Section(file.name, title, anchor)
                found.append(section)
    return [one for one in found if one.code]


def slug(heading):
    """The anchor that Python-Markdown gives a heading."""
    text = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower())


def anchors(members, have_headings):
    names = dict.fromkeys(member.anchor for member in members if member.name not in have_headings)
    return "".join(f'<span id="{name}"></span>' for name in names)


def whole(entity):
    return "\n\n".join(filter(None, (entity.brief, entity.text)))


LABEL = re.compile(r"(?:^|(?<=[.)`:;] ))(?:(Errors?):|(Thread-safety):|(Throws |Thread-safe\b))")


def sections(text):
    """What a comment says of errors and of threads comes last, each under its name, wherever it stands."""
    rest, named, in_code = [], {"Errors": [], "Thread-safety": []}, False
    for paragraph in text.split("\n\n"):
        was_in_code, in_code = in_code, in_code ^ (len(re.findall(r"^```", paragraph, re.MULTILINE)) % 2 == 1)
        found = [] if was_in_code or re.match(r"```|[-|>]|1\.", paragraph) or paragraph.endswith(":") else list(
            LABEL.finditer(paragraph))
        left = paragraph[:found[0].start()] if found else paragraph
        for match, after in zip(found, [*found[1:], None]):
            end = after.start() if after else len(paragraph)
            begin = match.start() if match[3] else match.end()
            if match[3]:  # one sentence
                stop = re.compile(r"\.(?= [A-Z`]|$)").search(paragraph, begin, end)
                left += paragraph[stop.end():end] if stop else ""
                end = stop.end() if stop else end
            said = paragraph[begin:end].strip()
            named["Thread-safety" if match[2] or said.startswith("Thread") else "Errors"].append(said[:1].upper() + said[1:])
        rest.append(left.strip())
    return "\n\n".join(filter(None, [*rest, *(f"**{name}:** {' '.join(said)}" for name, said in named.items() if said)]))


def grouped(overloads):
    """Those without a comment of their own go with the one before."""
    groups = []
    for one in overloads:
        if groups and not one.documented:
            groups[-1].append(one)
        else:
            groups.append([one])
    if len(groups) > 1 and not groups[0][0].documented:
        groups[1] = groups[0] + groups[1]
        groups.pop(0)
    return groups


def is_specialisation(entity):
    return "<" in entity.name and "operator" not in entity.name


def indented(text):
    return text.replace("\n", "\n    ")


def wrap(head, words, tail):
    line = head + ", ".join(words) + tail
    if len(line) <= 92 or len(words) < 2:
        return line
    return head.rstrip() + "\n    " + ",\n    ".join(words) + tail.rstrip() if head.endswith("{ ") is False else (
        head.rstrip() + "\n    " + ",\n    ".join(words) + "\n" + tail.strip())


def html_text(text):
    """Text as Markdown that shows it."""
    if not text:
        return ""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", html.escape(text, quote=False))


def escape_heading(text):
    return re.sub(r"([\\*_\[\]|])", r"\\\1", text)


def code_span(text):
    ticks = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return ticks + space + text + space + ticks


def layers():
    """What each folder holds, from CONTRIBUTING.md."""
    rows = re.findall(r"^\| `(\w+)/` \| ([^|]+?) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    return {folder: about.removeprefix("policy: ") for folder, about in rows}


def declared_with_comment(name):
    """Where a template that applications specialise has its comment: it is declared, and defined nowhere."""
    found = re.compile(rf"^///.*\n(?:template <.*>\n)?(?=(?:class|struct) {name};$)", re.MULTILINE)
    for header in sorted(INCLUDE.rglob("*.hpp")):
        text = header.read_text()
        if match := found.search(text):
            return header.relative_to(INCLUDE / "mlflow/trace").as_posix(), text.count("\n", 0, match.end()) + 1
    return "", 0


def declared_defaults():
    """Default template arguments stand in declared.hpp alone."""
    text = (INCLUDE / "mlflow/trace/declared.hpp").read_text()
    found = {}
    for head, name in re.findall(r"^(template <[^;{}]*?>)\n(?:class|struct) (\w+);", text, re.MULTILINE):
        if "=" in head:
            found[name] = wrap("template <", re.sub(r"\s+", " ", head[len("template <"):-1]).split(", "), ">")
    return found


def closure(header):
    """What a header includes, in the end."""
    seen, todo = set(), [header]
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        path = INCLUDE / "mlflow/trace" / one
        if one == "trace.hpp":
            path = INCLUDE / "mlflow/trace.hpp"
        todo += re.findall(r"^#include <mlflow/trace/([\w/]+\.hpp)>", path.read_text(), re.MULTILINE)
    return seen


def build(out):
    """Pages, and problems."""
    problems = run_doxygen(out)
    reference = Reference(out / "xml")
    return reference, problems + reference.problems


if __name__ == "__main__":
    made, faults = build(ROOT / "build/docs")
    print("\n".join(faults))
    print(f"{sum(1 for _ in made.distinct())} public names, {len(made.pages)} pages, {len(faults)} problems")
    raise SystemExit(bool(faults))
