#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where nlohmann/json is not installed, recording compiles, over HTTP too, and the first error of the client says what
to install: without_json.py COMPILER INCLUDE_FOLDER

The compiler gets its own system folders, with links to all that is in them but nlohmann/json.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

compiler, include = sys.argv[1:]
RECORDING = """
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/beast.hpp>
namespace mt = mlflow::trace;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using exporter = mt::batch<mt::mlflow_exporter<mt::beast_transport>>;
void record(mt::tracer<schema, mt::thread_local_context, exporter>& tracer) {
    auto trace = tracer.start_trace("chat", mt::user{"user-123"}, mt::session{"session-7"});
}
"""
CLIENT = "#include <mlflow/trace/client.hpp>\n"
MESSAGE = (
    r"The client reads MLflow's replies with nlohmann/json: install it \(Debian: nlohmann-json3-dev\)\. "
    r"Recording works without\."
)


def system_folders() -> list[pathlib.Path]:
    asked = subprocess.run([compiler, "-xc++", "-E", "-v", "/dev/null"], capture_output=True, text=True, check=True)
    listed = asked.stderr.partition("#include <...> search starts here:")[2].partition("End of search list")[0]
    return [pathlib.Path(folder.strip()) for folder in listed.strip().splitlines()]


def without_json(folder: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    if not (folder / "nlohmann").exists():
        return folder
    into.mkdir()
    for entry in folder.iterdir():
        if entry.name != "nlohmann":
            (into / entry.name).symlink_to(entry)
    return into


def errors(source: str, folders: list[pathlib.Path]) -> list[str]:
    options = [option for folder in folders for option in ("-isystem", str(folder))]
    command = [compiler, "-std=c++20", "-fsyntax-only", "-fno-diagnostics-color", "-nostdinc", "-nostdinc++", f"-I{include}"]
    done = subprocess.run([*command, *options, "-xc++", "-"], input=source, capture_output=True, text=True)
    found = [line for line in done.stderr.splitlines() if re.search(r"\berror:", line)]
    if bool(found) != (done.returncode != 0):
        sys.exit(f"the compiler failed without an error:\n{done.stderr}")
    return found


with tempfile.TemporaryDirectory() as temporary:
    all_folders = system_folders()
    folders = [without_json(folder, pathlib.Path(temporary, str(n))) for n, folder in enumerate(all_folders)]
    if folders == all_folders:
        sys.exit("nlohmann/json is in no folder of the system, so there is nothing to leave out")
    if found := errors(CLIENT, all_folders):
        sys.exit(f"the client does not compile with nlohmann/json: {found[0]}")
    if found := errors(RECORDING, folders):
        sys.exit(f"recording does not compile without nlohmann/json: {found[0]}")
    found = errors(CLIENT, folders)
    if not found or not re.search(MESSAGE, found[0]):
        sys.exit(f"the first error of the client without nlohmann/json is {found[:1]}")
