#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PlatformIO finds the library by its library.json and builds the smallest firmware with it, which records a trace on an
emulated board.

    run.py SOURCE     SOURCE is the tree of the library

PlatformIO is the program MLFLOW_TRACE_PLATFORMIO, or `pio` on the path; its Python must have SCons. Exits with 77 where
there is none. Nothing is downloaded: the platform is tests/platformio/cortex-m3.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
EMULATE = ["-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native"]
# What PlatformIO would download: SCons as a package of the version that it asks for.
PROVIDE_SCONS = """
import json, pathlib, shutil, sys, SCons
from platformio.dependencies import get_core_dependencies
package = pathlib.Path(sys.argv[1]) / "packages/tool-scons"
shutil.copytree(pathlib.Path(SCons.__file__).parent, package / "SCons")
version = get_core_dependencies()["tool-scons"].lstrip("~^>=")
(package / "package.json").write_text(json.dumps({"name": "tool-scons", "version": version, "system": "*"}))
spec = {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None, "uri": None}
(package / ".piopm").write_text(json.dumps({"type": "tool", "name": "tool-scons", "version": version, "spec": spec}))
(package / "scons.py").write_text('import SCons.Script\\nif __name__ == "__main__":\\n    SCons.Script.main()\\n')
"""


def main(source: pathlib.Path) -> None:
    pio = os.environ.get("MLFLOW_TRACE_PLATFORMIO") or shutil.which("pio")
    if not pio:
        print("SKIPPED: needs the program of the Python package platformio")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        core, project = folder / "core", folder / "project"
        (project / "src").mkdir(parents=True)
        (core / "packages").mkdir(parents=True)
        subprocess.run([pathlib.Path(pio).parent / "python", "-c", PROVIDE_SCONS, core], check=True)
        settings = (HERE / "platformio.ini").read_text().format(platform=HERE / "cortex-m3", library=source)
        (project / "platformio.ini").write_text(settings)
        for file in ("smallest.cpp", "startup.cpp", "machine.hpp"):
            shutil.copy(source / "tests/freestanding" / file, project / "src")
        shutil.copy(source / "tests/freestanding/lm3s6965.ld", project / "board.ld")
        environment = os.environ | {"PLATFORMIO_CORE_DIR": str(core), "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no"}
        built = subprocess.run([pio, "run", "--project-dir", project], env=environment, capture_output=True, text=True)
        print(built.stdout, built.stderr)
        assert built.returncode == 0, built.returncode
        version = json.loads((source / "library.json").read_text())["version"]
        assert f"mlflow_trace @ {version}" in built.stdout, "the library is not among the dependencies"
        program = project / ".pio/build/board/program"
        board = ["qemu-system-arm", "-machine", "lm3s6965evb", *EMULATE, "-kernel", program]
        subprocess.run(board, check=True, timeout=60)  # fails unless it returns 0


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
