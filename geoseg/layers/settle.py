"""Bring an SQLite file to rest: no journal beside it, nobody at work in it.

A fresh GeoPackage renamed onto a name with a stale ``-journal`` or ``-wal`` beside it is destroyed by the
next reader, which replays the old pages into the new file (https://www.sqlite.org/howtocorrupt.html, 1.4).
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from geoseg.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

SIDE_FILES = ("-journal", "-wal", "-shm")
"""What SQLite puts beside a database, by the ending it adds to the whole name."""

_MAGIC = b"SQLite format 3\0"


def side_files(path: Path) -> list[Path]:
    """Return the side files that exist beside a database."""
    return [side for ending in SIDE_FILES if (side := path.with_name(path.name + ending)).exists()]


def settle(path: Path) -> None:
    """Roll back or check in what an earlier writer left beside ``path``, and see that nobody has it open.

    Side files without a database are removed: there is nothing they could still be applied to.

    Raises:
        OutputError: another program has the file open, or its side files cannot be put away.
    """
    if not path.exists() or path.stat().st_size == 0:
        for side in side_files(path):
            side.unlink()
        return
    with path.open("rb") as start:
        if start.read(len(_MAGIC)) != _MAGIC:
            return
    try:
        with contextlib.closing(_connect(path, "rw")) as database:
            mode = database.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
            database.execute("BEGIN EXCLUSIVE")
            database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise OutputError(f"{path}: is open in another program (QGIS?); close it there and run again") from error
        raise OutputError(f"{path}: the existing file cannot be replaced safely: {error}") from error
    except sqlite3.DatabaseError as error:
        raise OutputError(
            f"{path}: the existing file is damaged ({error}); remove it and its side files and run again"
        ) from error
    if mode != "delete" or side_files(path):
        raise OutputError(f"{path}: its side files (-journal, -wal) cannot be put away; close the programs that use it")


def quick_check(path: Path) -> None:
    """Let SQLite read a whole database and complain.

    Raises:
        OutputError: the file is not a sound SQLite database.
    """
    try:
        with contextlib.closing(_connect(path, "ro")) as database:
            verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        raise OutputError(f"{path}: came out damaged ({verdict}); is the disk full or faulty?")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open an existing database without waiting for locks, every statement its own transaction."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=0, isolation_level=None)
