# SPDX-License-Identifier: Apache-2.0
"""The layers of include/: who may include whom, and what no header may do.

    layers_test.py [--table]     with --table prints the table of CONTRIBUTING.md, which the test compares
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
INCLUDE = ROOT / "include"
LIBRARY = "mlflow/trace/"
UMBRELLA = "mlflow/trace.hpp"
CONFIG = "config.hpp"
FORWARD = "fwd.hpp"
DECLARED = "declared.hpp"

# Each layer: what it holds, and the layers that it may include besides itself, config.hpp and declared.hpp.
LAYERS = {
    "detail": ("small language utilities", []),
    "memory": ("buffers, pools, locks; `fork`", ["detail"]),
    "text": ("UTF-8, JSON, base64, percent encoding", ["detail", "memory"]),
    "core": ("IDs, errors and results; span and trace data", ["detail", "memory", "text"]),
    "values": ("JSON encoding of C++ values", ["core", "memory", "text"]),
    "wire": ("writing and reading protobuf and OTLP", ["core", "memory", "text"]),
    "http": ("requests, responses and their classification; credentials", ["core", "detail", "memory", "text", "wire"]),
    "concepts.hpp": ("every extension point", ["core", "detail", "http"]),
    "metadata": ("policy: keys, identity, schema, tags", ["core", "detail", "text", "values"]),
    "platform": ("policy: clocks, IDs, error reporting; files and threads", ["core", "detail", "memory"]),
    "context": ("policy: where the current span is stored: threads, tasks, coroutines", ["core", "detail", "memory"]),
    "web": ("identity in web requests: headers, sessions, propagation", ["core", "detail", "http", "memory", "metadata", "text"]),
    "recording": ("policy: what is recorded: sampling, redaction, limits", ["concepts.hpp", "core", "detail", "http", "memory", "metadata"]),
    "spans": (
        "tracer, trace, span, scope, traced, capture",
        ["concepts.hpp", "context", "core", "detail", "http", "memory", "metadata", "platform", "recording", "text", "values", "web", "wire"],
    ),
    "pipeline": ("exporters that wrap others: queues, retries", ["concepts.hpp", "core", "detail", "http", "memory", "platform", "text", "wire"]),
    "spool": ("an exporter that stores traces on disk", ["concepts.hpp", "core", "detail", "memory", "pipeline", "platform", "text", "wire"]),
    "device": ("from devices to a gateway: frames over any link", ["concepts.hpp", "core", "memory", "spool", "wire"]),
    "static_memory": (
        "recording into memory of a fixed size, for the smallest devices",
        ["concepts.hpp", "context", "core", "detail", "device", "memory", "metadata", "platform", "recording", "spans", "spool", "text", "values", "wire"],
    ),
    "environment": ("options from environment variables", ["core", "detail", "http", "text", "wire"]),
    "exporters": ("policy: what is sent to a receiver", ["concepts.hpp", "core", "detail", "http", "memory", "metadata", "platform", "text", "values", "wire"]),
    "transports": ("how it is sent: HTTP, compression, seals", ["concepts.hpp", "environment", "http", "platform"]),
    "client": ("search, analysis, feedback; needs nlohmann/json", ["concepts.hpp", "core", "detail", "http", "memory", "metadata", "platform", "text", "values"]),
    "testing": ("conformance suites for your own types", ["concepts.hpp", "context", "exporters", "platform", "recording", "spans"]),
    "to_mlflow.hpp": ("names of common pipelines", ["exporters", "pipeline"]),
    "compiled.hpp": ("the parts that `compiled.cpp` compiles once", ["to_mlflow.hpp", "transports"]),
    "client.hpp": ("umbrella header of the client", ["client"]),
    "static_memory.hpp": ("the same in memory of a fixed size", ["bare_metal.hpp", "static_memory"]),
    "bare_metal.hpp": ("umbrella header of recording, for devices", ["concepts.hpp", "context", "core", "metadata", "platform", "recording", "spans"]),
}

# Headers that the umbrella leaves to those who ask for them, and what other libraries these may use.
OTHERS = {
    "transports/beast": ("boost/", "openssl/"),
    "client": ("nlohmann/",),
    "testing/": (),
    "compiled.hpp": (),
    "fwd.hpp": (),
    "context/asio": ("boost/",),
    "web/propagation": (),
    "web/sessions": (),
    "platform/cycle_c": (),
    "platform/replaced_file": (),
    "bare_metal.hpp": (),
    "metadata/borrowed": (),
    "metadata/session_path": (),
    "context/global": (),
    "platform/arena": (),
    "platform/bare_metal": (),
    "platform/board_platform": (),
    "http/otlp_client": (),
    "spans/attachment": (),
    "spans/chat": (),
    "spans/linked_prompt": (),
    "device/": (),
    "static_memory": (),
    "environment/": (),
    "exporters/gen_ai": (),
    "exporters/otlp": (),
    "pipeline/fan_out": (),
    "spool/": (),
    "transports/gzip": (),
    "transports/tls_options": (),
    "transports/memory": (),
    "transports/hmac_seal": ("openssl/",),
}

FORBIDDEN = {"iostream", "regex", "future", "filesystem", "random", "functional"}
# What every user would pay for. In their places are detail/atomic.hpp, detail/durations.hpp, memory/machine.hpp,
# memory/owner.hpp and platform/threads.hpp.
HEAVY = {"atomic", "chrono", "condition_variable", "memory", "mutex", "thread", "tuple"}
THREADS = ("client/", "transports/", "testing/")
MOST_LINES = 400
MOST_MACROS = 10

# What a status means stands there; the other two read HTTP itself, and test transports.
OUTCOMES = "http/outcome.hpp"
STATUSES = re.compile(r"\bstatus\s*(?:[=!]=|[<>]=?|/)\s*[1-5]\d\d?\b")
READ_STATUSES = (OUTCOMES, "transports/beast_connection.hpp", "testing/")

INCLUDES = re.compile(r"^\s*#\s*include\s*(\S+)", re.MULTILINE)
DEFINES = re.compile(r"^\s*#\s*define\s+(\w+)", re.MULTILINE)


def layer_of(name: str) -> str:
    return name.partition("/")[0]


def others_of(name: str) -> tuple[str, ...] | None:
    return next((libraries for start, libraries in OTHERS.items() if name.startswith(start)), None)


def check_include(name: str, included: str) -> str | None:
    """What is wrong with this include in mlflow/trace/NAME; None if nothing is."""
    if not re.fullmatch(r"<[^<>]+>", included):
        return f"{included}: includes are written <…> and from the root"
    target = included[1:-1]
    if target == UMBRELLA:
        return "only programs include the umbrella header"
    if target.startswith(LIBRARY):
        below = target.removeprefix(LIBRARY)
        allowed = [layer_of(name), CONFIG, DECLARED, *LAYERS.get(layer_of(name), ("", []))[1]]
        return None if layer_of(below) in allowed else f"{layer_of(name)} must not include {included}"
    if target in FORBIDDEN and not (target == "functional" and name.startswith("testing/")):
        return f"{included} costs every user too much"
    if target == "thread" and not name.startswith(THREADS):
        return "<thread> is for client/, testing/ and transports/; the others take platform/threads.hpp"
    is_standard = re.fullmatch(r"[a-z0-9_]+|[a-z0-9_/]+\.h", target) is not None
    if not is_standard and not target.startswith(others_of(name) or ()):
        return f"{included} is of another library"
    return None


def check_text(name: str, text: str) -> list[str]:
    """What is wrong with a header, by its name below mlflow/trace/."""
    wrong = []
    if not text.startswith("// SPDX-License-Identifier: Apache-2.0\n#pragma once\n"):
        wrong.append("does not begin with its licence and #pragma once")
    if text.count("\n") > MOST_LINES:
        wrong.append(f"has more than {MOST_LINES} lines")
    if layer_of(name) not in LAYERS and name not in (CONFIG, DECLARED, FORWARD, UMBRELLA):
        wrong.append("is in no layer")
    if name.count("/") > 1 and name != UMBRELLA:
        wrong.append("is more than one folder deep")
    macros = set(DEFINES.findall(text))
    if macros and name != CONFIG:
        wrong.append(f"defines {', '.join(sorted(macros))}: macros are for config.hpp")
    if len(macros) > MOST_MACROS:
        wrong.append(f"defines more than {MOST_MACROS} macros")
    wrong += [f"defines {macro}" for macro in sorted(macros) if not macro.startswith("MLFLOW_TRACE_")]
    if not name.startswith(READ_STATUSES):
        wrong += [f"compares {found}: what a status means stands in {OUTCOMES}" for found in STATUSES.findall(text)]
    if name != UMBRELLA:
        wrong += filter(None, (check_include(name, included) for included in INCLUDES.findall(text)))
    return wrong


def reached_from(headers: dict[str, str], start: str) -> set[str]:
    reached, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in headers:
            continue
        reached.add(name)
        waiting += [found[1:-1].removeprefix(LIBRARY) for found in INCLUDES.findall(headers[name])]
    return reached


def check_library(headers: dict[str, str]) -> list[str]:
    """What is wrong with a library, given as the text of each header."""
    wrong = [f"{name}: {what}" for name, text in sorted(headers.items()) for what in check_text(name, text)]
    reached = reached_from(headers, UMBRELLA)
    for name in sorted(headers):
        if (name in reached) == (others_of(name) is not None):
            wrong.append(f"{name}: {'must not be' if name in reached else 'is not'} in {UMBRELLA}")
        if name in reached:
            heavy = {included[1:-1] for included in INCLUDES.findall(headers[name])} & HEAVY
            wrong += [f"{name}: <{header}> is too heavy for what {UMBRELLA} includes" for header in sorted(heavy)]
    return wrong


def table() -> str:
    """The layers as CONTRIBUTING.md shows them."""
    lines = ["| in `include/mlflow/trace/` | holds | may include |", "|---|---|---|"]
    for layer, (holds, allowed) in LAYERS.items():
        names = [f"`{name}`" if name.endswith(".hpp") else f"`{name}/`" for name in (layer, *allowed)]
        lines.append(f"| {names[0]} | {holds} | {', '.join(names[1:])} |")
    return "\n".join(lines) + "\n"


def check_ways(headers: dict[str, str], page: str) -> list[str]:
    """What CONTRIBUTING.md says of functions that are not where it says."""
    wrong = []
    rows = re.findall(r"^\| [^|`]+ \| ((?:`[\w:]+`(?: → )?)+) \| ([^|]+) \|$", page, re.MULTILINE)
    for functions, places in rows:
        folder, text = "", ""
        for place in re.findall(r"`([\w/.]+)`", places):
            folder = place.rpartition("/")[0] or folder
            text += "".join(
                held for name, held in headers.items() if name.startswith(f"{folder}/{place.rpartition('/')[2]}")
            )
        for function in re.findall(r"`([\w:]+)`", functions):
            if not re.search(rf"\b{function.rpartition('::')[2]}\b", text):
                wrong.append(f"CONTRIBUTING.md: {function} is not in {places}")
    return wrong if len(rows) > 10 else [*wrong, "CONTRIBUTING.md: the ways through the layers are not found"]


def check_the_check() -> None:
    """Each rule finds its own mistake, so that none of them passes because it looks at nothing."""
    head = "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n"
    good = {
        UMBRELLA: head + "#include <mlflow/trace/spans/tracer.hpp>\n#include <mlflow/trace/core/ids.hpp>\n",
        "config.hpp": head + "#define MLFLOW_TRACE_X 1\n",
        "core/ids.hpp": head + "#include <mlflow/trace/config.hpp>\n\n#include <array>\n",
        "spans/tracer.hpp": head + "#include <mlflow/trace/core/ids.hpp>\n",
        "transports/beast.hpp": head + "#include <boost/beast.hpp>\n",
    }
    assert check_library(good) == [], check_library(good)
    mistakes = {
        "core/ids.hpp": [
            head + '#include "array"\n#include <mlflow/trace/config.hpp>\n',
            head + "#include <mlflow/trace/config.hpp>\n#include <mlflow/trace/spans/tracer.hpp>\n",
            head + "#include <mlflow/trace/config.hpp>\n#include <mlflow/trace.hpp>\n",
            head + "#include <mlflow/trace/config.hpp>\n#include <functional>\n",
            head + "#include <mlflow/trace/config.hpp>\n#include <thread>\n",
            head + "#include <mlflow/trace/config.hpp>\n#include <memory>\n",
            head + "#include <mlflow/trace/config.hpp>\n#include <boost/beast.hpp>\n",
            head + "#include <mlflow/trace/config.hpp>\n#  define MLFLOW_TRACE_Y\n",
            head + "#include <mlflow/trace/config.hpp>\n" + "\n" * MOST_LINES,
            "#pragma once\n#include <mlflow/trace/config.hpp>\n",
            head + "#include <mlflow/trace/config.hpp>\nbool busy(int status) { return status == 503; }\n",
            head + "#include <mlflow/trace/config.hpp>\nbool fails(int status) { return status >= 500; }\n",
        ],
        "config.hpp": [
            head + "#define OTHER 1\n",
            head + "".join(f"#define MLFLOW_TRACE_{n}\n" for n in range(MOST_MACROS + 1)),
        ],
        "spans/more.hpp": [head],
        "unknown/more.hpp": [head],
        UMBRELLA: [good[UMBRELLA] + "#include <mlflow/trace/transports/beast.hpp>\n"],
    }
    for name, texts in mistakes.items():
        for text in texts:
            assert check_library(good | {name: text}), f"this mistake in {name} is not found:\n{text[:200]}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(table(), end="")
        sys.exit()
    check_the_check()
    found = {
        str(path.relative_to(INCLUDE)).removeprefix(LIBRARY): path.read_text() for path in INCLUDE.rglob("*.hpp")
    }
    if mistakes := check_library(found):
        sys.exit("\n".join(mistakes))
    if f"\n\n{table()}\n" not in (ROOT / "CONTRIBUTING.md").read_text():
        sys.exit("CONTRIBUTING.md: the table of layers is another one; put there what layers_test.py --table prints")
    if mistakes := check_ways(found, (ROOT / "CONTRIBUTING.md").read_text()):
        sys.exit("\n".join(mistakes))
    print(f"{len(found)} headers keep to their layers")
