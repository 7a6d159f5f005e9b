# SPDX-License-Identifier: Apache-2.0
"""How many traces a second reach a real MLflow server, beside what the server takes of the same requests, and beside
MLflow's Python client.

    python benchmarks/delivery.py PROGRAM [--traces 600] [--workers 1 2 4] [--stores sqlite postgresql]
                                        [--repetitions 3] [--output FILE.json] [--page FILE.md]

PROGRAM is the built benchmark_delivery. Python needs mlflow, and for PostgreSQL psycopg2-binary and Debian's
`postgresql`. Each figure is the best of all repetitions, measured in turn. The limit is the best of 1, 2, 4 and 8
connections that send prepared requests, spans first; the library sends further requests on 4 connections, its default.
--page fills in the part `delivery` of a page.
"""

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "reliability"))
from _delivery import mlflow_server
from postgresql import postgresql
from report import fill_in, markdown

CONNECTIONS = (1, 2, 4, 8)
DEFAULT_CONNECTIONS = 4

PYTHON = """
import sys, time
import mlflow
uri, experiment, traces, what = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_experiment(experiment)

@mlflow.trace(name="model")
def model(text): return text
@mlflow.trace(name="tool")
def tool(text): return text
@mlflow.trace(name="plan")
def plan(text): return model(text), tool(text)
@mlflow.trace(name="agent")
def agent(text, number):
    if what == "request-ids":
        mlflow.update_current_trace(metadata={"mlflow.trace.user": f"user-{number % 100}", "mlflow.trace.session": f"session-{number % 500}"}, client_request_id=f"request-{number}")
    else:
        mlflow.update_current_trace(metadata={"mlflow.trace.user": f"user-{number % 100}", "mlflow.trace.session": f"session-{number % 500}"})
    return plan(text)

begun = time.perf_counter()
for number in range(int(traces)):
    agent("abcdefghij" * 50, number)
mlflow.flush_trace_async_logging()
print(time.perf_counter() - begun)
"""


class Server:
    """One server, with a fresh experiment for each measurement."""

    def __init__(self, uri: str, program: str, traces: int):
        self.uri, self.program, self.traces, self.experiments = uri, program, traces, 0

    def next_experiment(self) -> str:
        self.experiments += 1
        return f"experiment-{self.experiments}"

    def stored(self, experiment: str) -> int:
        import mlflow

        client = mlflow.MlflowClient(tracking_uri=self.uri)
        found, page, count = client.get_experiment_by_name(experiment), None, 0
        while True:
            traces = client.search_traces(locations=[found.experiment_id], max_results=500, page_token=page, include_spans=False)
            count += len(traces)
            if not (page := traces.token):
                return count

    def measure(self, how: str, what: str, connections: int) -> float:
        """Traces a second, all of which are stored."""
        experiment = self.next_experiment()
        command = [self.program, self.uri, experiment, str(self.traces), str(connections), how, what]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        if (count := self.stored(experiment)) != self.traces:
            sys.exit(f"{how}, {what}: {count} of {self.traces} traces are stored")
        return told["traces_a_second"]

    def measure_python(self, what: str) -> tuple[float, int]:
        """Traces stored a second, and how many were lost."""
        experiment, traces = self.next_experiment(), self.traces
        command = [sys.executable, "-c", PYTHON, self.uri, experiment, str(traces), what]
        seconds = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        count = self.stored(experiment)
        return count / seconds, traces - count


def measure(server: Server, what: str, repetitions: int) -> dict:
    library, peer, limits, lost = [], [], {each: [] for each in CONNECTIONS}, 0
    for _ in range(repetitions):
        library.append(server.measure("library", what, DEFAULT_CONNECTIONS))
        for connections, found in limits.items():
            found.append(server.measure("requests", what, connections))
        rate, gone = server.measure_python(what)
        peer.append(rate)
        lost += gone
    limit = max(max(found) for found in limits.values())
    return {
        "library": round(max(library), 1),
        "limit": round(limit, 1),
        "ratio": round(max(library) / limit, 3),
        "of_connections": {each: round(max(found), 1) for each, found in limits.items()},
        "python": round(max(peer), 1),
        "python_lost": lost,
    }


def table(rows: list[dict]) -> str:
    names = {"spans": "spans alone", "request-ids": "with request IDs", "sqlite": "SQLite", "postgresql": "PostgreSQL"}
    lines = [["store, workers of the server", "traces", "the library", "the server's limit", "ratio", "MLflow's Python client (lost)"]]
    for row in rows:
        store = f"{names[row['store']]}, {row['workers']}"
        peer = f"{row['python']:.0f} ({row['python_lost']})"
        lines.append([store, names[row["what"]], f"{row['library']:.0f}", f"{row['limit']:.0f}", f"{row['ratio']:.2f}", peer])
    return markdown(lines)


@contextlib.contextmanager
def store(kind: str, folder: pathlib.Path):
    if kind == "sqlite":
        yield f"sqlite:///{folder}/mlflow.db"
    else:
        with postgresql(folder) as uri:
            yield uri


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--traces", type=int, default=600)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    options = parser.parse_args()
    rows = []
    for kind in options.stores:
        for workers in options.workers:
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                with store(kind, folder) as uri, mlflow_server(folder, uri, workers) as address:
                    server = Server(address, options.program, options.traces)
                    server.measure("library", "request-ids", 1)  # the server's first requests are slower
                    for what in ("spans", "request-ids"):
                        row = {"store": kind, "workers": workers, "what": what} | measure(server, what, options.repetitions)
                        rows.append(row)
                        print(json.dumps(row), flush=True)
    if options.page:
        options.page.write_text(fill_in(options.page.read_text(), "delivery", table(rows)))
    if options.output:
        options.output.write_text(json.dumps({"traces": options.traces, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
