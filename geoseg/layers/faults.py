"""Turn what GDAL, SQLite and the system say while a file is written into one sentence about that file."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import TYPE_CHECKING

from geoseg.errors import GeosegError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LITTLE = 1 << 20  # bytes; with less than this left, the disk is what went wrong


@contextlib.contextmanager
def writing(path: Path, *foreign: type[Exception]) -> Iterator[None]:
    """Report every fault of the block as an OutputError about ``path``.

    Args:
        path: the file being written.
        foreign: exceptions of the library that writes, beside OSError, RuntimeError and those of SQLite.

    Raises:
        OutputError: the file cannot be written.
    """
    faults: tuple[type[Exception], ...] = (OSError, RuntimeError, sqlite3.Error, *foreign)
    try:
        yield
    except GeosegError:
        raise
    except faults as error:
        raise OutputError(f"{path}: could not be written: {_reason(path, error)}") from error


def _reason(path: Path, error: BaseException) -> str:
    """Return the cause at the bottom of a chain of errors, and a full disk before all."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(path.parent).free < _LITTLE:
            return "the disk is full"
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = " ".join(str(error).replace(f"{path}:", "").split())
    return words or type(error).__name__
