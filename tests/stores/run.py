# SPDX-License-Identifier: Apache-2.0
"""Records traces on MLflow servers that take no OTLP spans, and reads them back with MLflow's own client:

    run.py RECORD files     this MLflow, on a folder of files: its store answers 501
    run.py RECORD VERSION   that version of MLflow; 3.1 is the oldest one that the library knows

Other versions are kept in ${XDG_CACHE_HOME:-~/.cache}/mlflow_trace.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from servers import mlflow_server  # noqa: E402

NEEDED_WITH = ["sqlalchemy<2.1"]  # MLflow 3.1 does not start with a newer one


def python_with(version: str) -> pathlib.Path:
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mlflow_trace"
    folder = cache / f"mlflow-{version}-python{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"mlflow=={version}", *NEEDED_WITH], check=True)
        (folder / "complete").touch()
    return python


def main(record: str, which: str) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    clean |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    python = pathlib.Path(sys.executable) if which == "files" else python_with(which)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        store = str(folder / "files") if which == "files" else f"sqlite:///{folder}/mlflow.db"
        with mlflow_server(folder, store, python=python, env=clean | {"MLFLOW_ALLOW_FILE_STORE": "true"}) as uri:
            client = clean | {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": "stores"}
            done = subprocess.run([record], env=client, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, f"{done.stderr}\n{(folder / 'mlflow.log').read_text()[-4000:]}"
            assert done.stderr.count("does not support OTLP spans") == done.stderr.count("\n") == 1, f"told once: {done.stderr}"
            expected = folder / "expected.jsonl"
            expected.write_text(done.stdout)
            subprocess.run([python, HERE / "_readback.py", expected], env=client, check=True, timeout=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
