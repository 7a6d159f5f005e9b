#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Delivery to a real MLflow server whose database fails for a while: every trace is stored once it is mended.

    database.py WRITER [--traces 50] [--attempts 12] [--only TEXT] [--seed 1] [--output result.json]

WRITER is the built delivery_writer.cpp. In each case a table or a column of the server's SQLite database is not there,
or a table takes no rows, until ATTEMPTS requests have met that, enough to divide all down to one span. MLflow answers
the first two with 503, and the last with 400, as if the traces were at fault. Once from memory (`batch<retry<…>>`),
once by `spool`. Fails when a trace is lost or put aside, or when an account is not balanced. SEED says in which order
the cases come.
"""

import contextlib
import pathlib
import random
import sqlite3
import tempfile

from _delivery import Writer, arguments, balance, finish, mlflow_server, stored

TABLES = ["spans", "trace_info", "trace_tags", "trace_request_metadata", "experiments"]
FULL = ["spans", "trace_info", "trace_tags", "trace_request_metadata"]
COLUMNS = [("spans", "content"), ("trace_info", "execution_time_ms"), ("trace_tags", "value")]


def change(database: pathlib.Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute("PRAGMA legacy_alter_table = ON")  # what refers to the table is left as it is
        connection.execute(statement)
        connection.commit()


def cases() -> dict[str, tuple[str, str]]:
    """What takes something away, and what puts it back, by a name."""
    found = {
        f"no table {table}": (f"ALTER TABLE {table} RENAME TO away", f"ALTER TABLE away RENAME TO {table}")
        for table in TABLES
    }
    for table, column in COLUMNS:
        rename = f"ALTER TABLE {table} RENAME COLUMN"
        found[f"no column {table}.{column}"] = (f"{rename} {column} TO away", f"{rename} away TO {column}")
    for table in FULL:
        refuse = f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no more'); END"
        found[f"no rows for {table}"] = (refuse, "DROP TRIGGER full")
    return found


def check(options, case: str, way: str, folder: pathlib.Path, server: str) -> tuple[dict, list[str]]:
    takes_away, puts_back = cases()[case]
    experiment = f"{case}, {way}"
    spool = folder / experiment
    command = [options.writer, "--uri", server, "--experiment", experiment, "--request-ids", "--wait-for-go"]
    command += ["--traces", str(options.traces), "--longest-wait", "500"]
    writer = Writer(command + ([] if way == "memory" else ["--spool", spool]))
    writer.wait_for("ready")
    before = len(writer.all("attempt"))
    change(folder / "mlflow.db", takes_away)
    writer.go()
    under = writer.wait_for("attempt", before + options.attempts)[before:]
    change(folder / "mlflow.db", puts_back)
    told = writer.end()
    account = balance(told["account"], *stored(server, experiment))
    row = {
        "case": case,
        "delivered": way,
        "answers": sorted({each["attempt"] for each in under}),
        "requests": len(writer.all("attempt")) - before,
        "account": account,
    }
    faults = []
    if not account["balanced"]:
        faults.append(f"{experiment}: the account is not balanced: {row}")
    if account["exported"] != account["started"] or account["started"] != 2 * options.traces:
        faults.append(f"{experiment}: lost: {row}")
    if all(each["attempt"] == "200" for each in under):
        faults.append(f"{experiment}: there was no fault: {row}")
    if left := [each.name for each in spool.glob("*")]:
        faults.append(f"{experiment}: the spool still holds {left}")
    return row, faults


def main() -> None:
    options = arguments(__doc__, traces=50, attempts=12, only="")
    made = [(case, way) for case in cases() if options.only in case for way in ("memory", "spool")]
    random.Random(options.seed).shuffle(made)
    rows, faults = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with mlflow_server(folder) as server:
            for case, way in made:
                row, found = check(options, case, way, folder, server)
                rows.append(row)
                faults += found
    result = {"seed": options.seed, "traces_of_each": options.traces, "attempts_under_each": options.attempts}
    for name in ("started", "exported", "failed", "dropped", "pending"):
        result[name] = sum(row["account"][name] for row in rows)
    finish(result | {"cases": rows}, options.output, faults)


if __name__ == "__main__":
    main()
