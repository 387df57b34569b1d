"""One process at a time makes a result; a lock ends with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geoseg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WAIT_S = 0.2
_IS_WINDOWS = os.name == "nt"  # a file that is open cannot be removed there, be it by its owner
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)  # a link could lead anywhere


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Wait until nobody else holds the lock of this name, and hold it.

    Where the system knows no locks of this kind (some network disks), nothing is waited for: results appear whole
    anyway, and the last one stays.

    Raises:
        OutputError: its file cannot be made.
    """
    while (handle := _held(path)) is None:
        time.sleep(_WAIT_S)
    try:
        yield
    finally:
        _let_go(path, handle)


def remove_unheld(path: Path) -> None:
    """Remove what a killed process left of its lock; one that is held stays.

    Raises:
        OutputError: the file cannot be opened.
    """
    if os.path.lexists(path) and (handle := _held(path)) is not None:
        _let_go(path, handle)


def _held(path: Path) -> int | None:
    """Return the handle of the lock, or None where somebody else holds it; raises OutputError."""
    handle = _opened(path)
    try:
        if handle is not None and _taken(handle) and _is_there(path, handle):
            return handle
    except BaseException:
        os.close(handle)  # type: ignore[arg-type]
        raise
    if handle is not None:
        os.close(handle)
    return None


def _opened(path: Path) -> int | None:
    """Open the lock's file; None where its last holder is just removing it; raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, _FLAGS, 0o666)
    except OSError as error:
        if _IS_WINDOWS and isinstance(error, PermissionError) and os.path.lexists(path):
            return None
        raise OutputError(
            f"{path}: cannot be made ({error.strerror}), so nothing can be written beside it; check the folder"
        ) from error


def _let_go(path: Path, handle: int) -> None:
    """Give the lock up and remove its file."""
    if _IS_WINDOWS:
        os.close(handle)
        with contextlib.suppress(OSError):
            path.unlink()
        return
    try:
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    """Take the lock without waiting; False where another process holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _taken_there(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _taken_there(handle: int) -> bool:
    import msvcrt  # only Windows has it

    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True


def _is_there(path: Path, handle: int) -> bool:
    """Return whether the file that was locked still has its name: its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
