"""Files that are published, for tests."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from geoseg.errors import OutputError, UsageError
from geoseg.layers.publish import check_target

if TYPE_CHECKING:
    from pathlib import Path

OLD = b"the earlier result"


def names(folder: Path) -> set[str]:
    return {found.name for found in folder.iterdir()}


def database(path: Path, content: str = "new") -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE note (text)")
        file.execute("INSERT INTO note VALUES (?)", (content,))
        file.commit()


def content(path: Path) -> str:
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return file.execute("SELECT text FROM note").fetchone()[0]


def refusal(path, *, overwrite=False, inputs=()):
    with pytest.raises((OutputError, UsageError)) as caught:
        check_target(path, overwrite=overwrite, inputs=inputs)
    assert "\n" not in str(caught.value)
    return caught.value
