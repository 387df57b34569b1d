"""A GeoPackage is published without the side files of another, and never while it is open."""

# ruff: noqa: PT012 - the body of a publication is what fails, so it stands inside pytest.raises

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from geoseg.errors import OutputError
from geoseg.layers.publish import published
from tests.published import OLD, content, database, names, refusal

if TYPE_CHECKING:
    from pathlib import Path


def crashed(path: Path, mode: str) -> None:
    """Leave a database as a killed writer does: with a hot journal or an unchecked-in WAL."""
    script = f"""
        import os, sqlite3
        file = sqlite3.connect({str(path)!r}, isolation_level=None)
        file.execute("PRAGMA journal_mode={mode}")
        file.execute("PRAGMA cache_size=1")
        file.execute("CREATE TABLE note (text)")
        file.execute("INSERT INTO note VALUES ('old')")
        file.execute("BEGIN")
        for _ in range(300):
            file.execute("INSERT INTO note VALUES (?)", ("x" * 1000,))
        if {mode!r} == "wal":
            file.execute("COMMIT")
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
    assert (path.with_name(path.name + ("-wal" if mode == "wal" else "-journal"))).stat().st_size > 0


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_stale_side_files_never_reach_the_new_geopackage(tmp_path, mode):
    target = tmp_path / "map.gpkg"
    crashed(target, mode)
    with published(target, overwrite=True) as temporary:
        database(temporary)
    assert content(target) == "new"
    assert names(tmp_path) == {"map.gpkg"}


@pytest.mark.parametrize("ending", ["-journal", "-wal"])
def test_side_files_without_a_database_go_only_with_overwrite(tmp_path, ending):
    target = tmp_path / "map.gpkg"
    crashed(target, "wal" if ending == "-wal" else "delete")
    target.unlink()
    assert "left-over map.gpkg-" in str(refusal(target))
    with published(target, overwrite=True) as temporary:
        database(temporary)
    assert content(target) == "new"
    assert names(tmp_path) == {"map.gpkg"}


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_geopackage_open_elsewhere_is_refused_and_unharmed(tmp_path, mode, when):
    target = tmp_path / "map.gpkg"
    database(target, "old")
    with closing(sqlite3.connect(target, isolation_level=None)) as other:
        other.execute(f"PRAGMA journal_mode={mode}")

        def open_elsewhere():
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO note VALUES ('edit')")

        if when == "before":
            open_elsewhere()
            assert "is open in another program" in str(refusal(target, overwrite=True))
        with (
            pytest.raises(OutputError, match="is open in another program"),
            published(target, overwrite=True) as temporary,
        ):
            open_elsewhere()
            database(temporary)
        other.execute("COMMIT")
    assert content(target) == "old"
    assert names(tmp_path) == {"map.gpkg"}


def test_a_damaged_temporary_geopackage_is_not_published(tmp_path):
    target = tmp_path / "map.gpkg"
    database(target, "old")
    with (
        pytest.raises(OutputError, match=r"map\.gpkg: came out damaged"),
        published(target, overwrite=True) as temporary,
    ):
        database(temporary)
        with temporary.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096)
    assert content(target) == "old"


def test_a_text_file_called_geopackage_can_be_replaced(tmp_path):
    target = tmp_path / "map.gpkg"
    target.write_bytes(OLD)
    with published(target, overwrite=True) as temporary:
        database(temporary)
    assert content(target) == "new"
