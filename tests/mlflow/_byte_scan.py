# SPDX-License-Identifier: Apache-2.0
"""Where a text is in the files of a server, byte by byte."""

import contextlib
import gzip
import pathlib
import sqlite3


def vacuum(database: pathlib.Path) -> None:
    """SQLite leaves copies of rows that it moved between pages, also with secure_delete."""
    with contextlib.closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        connection.execute("VACUUM")


def files_with(text: bytes, folder: pathlib.Path, but: tuple[str, ...] = ()) -> dict[str, int]:
    """The files of a folder that contain the text, also compressed by gzip, and how often. Leaves out the logs of servers,
    and paths that begin with one of `but`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".log" or not path.is_file() or name.startswith(but):
            continue
        with contextlib.suppress(FileNotFoundError):
            content = path.read_bytes()
            count = content.count(text)
            if path.suffix == ".gz":
                count += gzip.decompress(content).count(text)
            if count:
                found[name] = count
    return found
