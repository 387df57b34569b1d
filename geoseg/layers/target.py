"""Refuse, before any work is done, a target that could not be written in the end."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.errors import OutputError, UsageError
from geoseg.layers.settle import settle, side_files

if TYPE_CHECKING:
    from collections.abc import Iterable

COMPANIONS = (".aux.xml", ".ovr", ".msk")
"""What GDAL keeps beside a raster: it moves with the file, and is replaced with it."""


def check_target(path: str | Path, *, overwrite: bool, inputs: Iterable[str | Path] = ()) -> Path:
    """Return the path of a result that can be written, as far as can be known before.

    Args:
        path: where a result shall go; of a symbolic link, the file it leads to is meant.
        overwrite: whether an existing file may be replaced.
        inputs: files the run reads, none of which may be replaced.

    Raises:
        UsageError: the target is an input, or lies where an input's side files lie.
        OutputError: it exists and may not be replaced, is open elsewhere, leads to a device or a folder, or its
            folder cannot be written.

    Returns:
        The path, or the file that a link leads to: its name may have another ending.
    """
    if not str(path) or "\0" in str(path) or not Path(path).name:
        raise OutputError(f"{str(path)!r}: is not the name of a file")
    path = followed(Path(path))
    for source in inputs:
        guarded = [Path(source), *(beside(Path(source), ending) for ending in COMPANIONS)]
        if any(same_file(path, one) for one in guarded):
            raise UsageError(f"{path}: is an input of this run; choose another name for the result")
    if not path.parent.exists():
        raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: {path.parent} is a file, not a folder")
    check_existing(path, overwrite=overwrite)
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"{path}: the folder {path.parent} cannot be written to ({error.strerror})") from error
    return path


def followed(path: Path) -> Path:
    """Return the file that a symbolic link leads to, whether it exists yet or not; other paths as they are.

    Raises:
        OutputError: the link leads to anything but a file.
    """
    if not os.path.islink(path):  # noqa: PTH114 - Path.is_symlink raises where a name cannot be looked at
        return path
    real = Path(os.path.realpath(path))
    try:
        found = path.stat()
    except FileNotFoundError:
        return real
    except OSError as error:
        raise OutputError(f"{path}: is a link that leads nowhere ({error.strerror})") from error
    if stat.S_ISDIR(found.st_mode):
        raise OutputError(f"{path}: is a link to a folder; give the name of a file")
    # What /dev/stdout leads to may be known to the system by no name at all.
    if not (stat.S_ISREG(found.st_mode) and real.exists() and real.samefile(path)):
        raise OutputError(f"{path}: is a link to a device or a pipe; results are files that appear whole")
    return real


def check_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse where something under the target's name may not, or cannot, be replaced.

    Args:
        path: as `followed` returns it.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: why not, and what to do.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        _check_leftovers(path, overwrite=overwrite)
        return
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path}: is a folder; give the name of a file")
    if stat.S_ISLNK(mode):
        raise OutputError(f"{path}: has become a link meanwhile; run again")
    if not stat.S_ISREG(mode):
        raise OutputError(f"{path}: is a device or a pipe; results are files that appear whole")
    if not overwrite:
        raise OutputError(f"{path}: exists; add --overwrite to replace it")
    if not os.access(path, os.W_OK):
        raise OutputError(f"{path}: is read-only; make it writable or choose another name")
    if is_geopackage(path):
        settle(path)


def beside(path: Path, ending: str) -> Path:
    """Return the name of a side file."""
    return path.with_name(path.name + ending)


def same_file(one: Path, other: Path) -> bool:
    """Tell whether two names mean the same file, whether it exists or not."""
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def is_geopackage(path: Path) -> bool:
    """Tell whether SQLite will keep its side files beside this name."""
    return path.suffix.lower() == ".gpkg"


def _check_leftovers(path: Path, *, overwrite: bool) -> None:
    """Raise OutputError where side files of a file that is gone would be taken for those of the new one."""
    left = [side for ending in COMPANIONS if os.path.lexists(side := beside(path, ending))]
    if is_geopackage(path):
        left += side_files(path)
    if left and not overwrite:
        raise OutputError(f"{path}: a left-over {left[0].name} lies beside it; add --overwrite to remove it")
