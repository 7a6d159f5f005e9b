# SPDX-License-Identifier: Apache-2.0
"""MLflow with its basic authentication behind a real TLS proxy, and RECORD, which records traces there:

    run.py RECORD

Right, wrong and changed credentials; certificates of another host, of an unknown authority, and expired.
"""

import base64
import contextlib
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import urllib.request

from _certificates import DAY, NOW, Authority

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from servers import free_ports, listen, running  # noqa: E402

RUN_SECONDS = 120
FIRST, SECOND = "first-password-1042", "second-password-1042"
ADMIN = "admin", "administrator-password"

AUTH = """\
[mlflow]
default_permission = MANAGE
database_uri = sqlite:///{folder}/auth.db
admin_username = {admin[0]}
admin_password = {admin[1]}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


def mlflow(folder: pathlib.Path, port: int):
    (folder / "auth.ini").write_text(AUTH.format(folder=folder, admin=ADMIN))
    environment = os.environ | {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    return running(command, lambda: listen([port]), folder / "mlflow.log", env=environment, cwd=folder)


def proxy(folder: pathlib.Path, to: int, certificates: dict[int, pathlib.Path], clients_of: dict[int, pathlib.Path]):
    """TLS on these ports, each with its certificate; on some, only for clients with one."""
    lines = ["foreground = yes", "pid =", "debug = err"]
    for port, certificate in certificates.items():
        lines += [f"[port{port}]", f"accept = 127.0.0.1:{port}", f"connect = 127.0.0.1:{to}", f"cert = {certificate}"]
        if port in clients_of:
            lines += [f"CAfile = {clients_of[port]}", "verifyChain = yes"]
    (folder / "proxy.conf").write_text("\n".join(lines) + "\n")
    return running(["stunnel4", folder / "proxy.conf"], lambda: listen(list(certificates)), folder / "proxy.log")


class Server:
    """The server as the test itself sees it, around the proxy."""

    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(ADMIN).encode()).decode())
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data=data, timeout=60) as reply:
            return json.loads(reply.read() or "{}")

    def trace_names(self) -> list[str]:
        where = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}}]
        found = self.call("POST", "/api/3.0/mlflow/traces/search", {"locations": where, "max_results": 100})
        for trace in found.get("traces", []):
            assert trace["trace_metadata"]["mlflow.trace.user"] == "user-1042", trace
            assert trace["trace_metadata"]["app.segment"] == "pro", trace
        return sorted(trace["tags"]["mlflow.traceName"] for trace in found.get("traces", []))


class Recorder:
    """RECORD in a folder of its own, with these variables."""

    def __init__(self, program: str, folder: pathlib.Path, *arguments, **variables):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
        self.secrets = [variables.get("MLFLOW_TRACKING_PASSWORD"), variables.get("MLFLOW_TRACKING_TOKEN"), FIRST, SECOND]
        self.errors = self.folder / "errors"
        self.said = ""
        self.asked = 0
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [program, *arguments],
                env=clean | variables,
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def record(self, name: str) -> str:
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        self.asked += 1
        line = self.process.stdout.readline()
        self.said += line
        return line.rstrip("\n")

    def finish(self) -> None:
        """Nothing that it printed or wrote holds a credential."""
        self.said += self.process.communicate(timeout=RUN_SECONDS)[0]
        written = self.said + "".join(p.read_text(errors="replace") for p in self.folder.rglob("*") if p.is_file())
        assert self.errors.read_text() == "", self.errors.read_text()
        assert self.said.count("\n") == self.asked, "not one line for each trace"
        for secret in filter(None, self.secrets):
            for form in (secret, base64.b64encode(secret.encode()).decode()[:-4]):
                assert form not in written, "a credential is shown"
            # The middle of `user:password` in base64, wherever it begins.
            for shift in range(3):
                middle = base64.b64encode((" " * shift + secret).encode()).decode()[4:-4]
                assert middle not in written, "a credential is shown"


def main(program: str) -> None:
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        here, unknown = Authority(folder, "authority"), Authority(folder, "unknown")
        plain, good, by_address, other_host, of_unknown, expired, for_clients = free_ports(7)
        certificates = {
            good: here.issue("localhost"),
            by_address: here.issue("127.0.0.1"),
            other_host: here.issue("mlflow.example"),
            of_unknown: unknown.issue("localhost"),
            expired: here.issue("localhost", until=NOW - DAY),
            for_clients: here.issue("localhost"),
        }
        stack.enter_context(mlflow(folder, plain))
        stack.enter_context(proxy(folder, plain, certificates, {for_clients: here.file}))
        server = Server(plain)
        server.call("POST", "/api/2.0/mlflow/users/create", {"username": "writer", "password": FIRST})

        def record(name: str, port: int, *, host="localhost", scheme="https", **variables) -> str:
            recorder = Recorder(
                program,
                folder,
                MLFLOW_TRACKING_URI=f"{scheme}://{host}:{port}",
                **{"MLFLOW_TRACKING_SERVER_CERT_PATH": str(here.file), "MLFLOW_TRACKING_USERNAME": "writer"}
                | {"MLFLOW_TRACKING_PASSWORD": FIRST}
                | variables,
            )
            said = recorder.record(name)
            recorder.finish()
            print(f"{name}: {said}")
            return said

        # Right.
        assert record("good", good).startswith(f"https://localhost:{good}/#/experiments/1/traces?"), "refused"
        assert record("address", by_address, host="127.0.0.1").startswith("https://127.0.0.1:")
        own = str(here.issue("client"))
        assert record("client", for_clients, MLFLOW_TRACKING_CLIENT_CERT_PATH=own).startswith("https://localhost:")
        unchecked = {"MLFLOW_TRACKING_SERVER_CERT_PATH": "", "MLFLOW_TRACKING_INSECURE_TLS": "true"}
        assert record("unchecked", expired, **unchecked).startswith("https://localhost:")
        assert server.trace_names() == ["address", "client", "good", "unchecked"], server.trace_names()

        # Wrong credentials.
        refused = "responded 401 to /version: You are not authenticated."
        assert refused in record("password", good, MLFLOW_TRACKING_PASSWORD="wrong-password-1042")
        nobody = {"MLFLOW_TRACKING_USERNAME": "", "MLFLOW_TRACKING_PASSWORD": ""}
        assert refused in record("nobody", good, **nobody)
        assert refused in record("token", good, **nobody, MLFLOW_TRACKING_TOKEN="a-token-that-nobody-knows")

        # Wrong certificates.
        certificate = "the server's certificate was rejected: "
        assert certificate + "hostname mismatch" in record("host", other_host)
        assert certificate + "IP address mismatch" in record("wrong address", good, host="127.0.0.1")
        assert certificate + "unable to get local issuer certificate" in record("unknown", of_unknown)
        assert certificate + "unable to get local issuer" in record("system", good, MLFLOW_TRACKING_SERVER_CERT_PATH="")
        assert certificate + "certificate has expired" in record("expired", expired)
        assert "tls.certificate_file" in record("no client", for_clients)
        assert "No such file" in record("no file", good, MLFLOW_TRACKING_SERVER_CERT_PATH="/nowhere.pem")

        # The wrong protocol.
        assert "the server does not use TLS on this port; use http://" in record("plain", plain)
        assert "if the server expects TLS, use https://" in record("tls", good, scheme="http")
        assert server.trace_names() == ["address", "client", "good", "unchecked"], server.trace_names()

        # A password that changes while the program runs: what the file holds is taken up, or the trace is refused.
        password = folder / "password"
        password.write_text(f"writer:{FIRST}\n")
        at = {"MLFLOW_TRACKING_URI": f"https://localhost:{good}", "MLFLOW_TRACKING_SERVER_CERT_PATH": str(here.file)}
        recorder = Recorder(program, folder, password, **at)
        assert recorder.record("before").startswith("https://")
        change = {"username": "writer", "password": SECOND}
        server.call("PATCH", "/api/2.0/mlflow/users/update-password", change)
        assert "responded 401 to /v1/traces: You are not authenticated." in recorder.record("outdated")
        password.write_text(f"writer:{SECOND}\n")
        assert recorder.record("after").startswith("https://")
        recorder.finish()
        expected = ["address", "after", "before", "client", "good", "unchecked"]
        assert server.trace_names() == expected, server.trace_names()


if __name__ == "__main__":
    main(sys.argv[1])
