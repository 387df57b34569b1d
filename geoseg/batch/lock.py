"""One process at a time makes a result; a lock ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WAIT_S = 0.2


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock of this name, and hold it.

    Where the system knows no locks of this kind (some network disks), nothing is waited for: results appear whole
    anyway, and the last one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            held = _taken(handle)
            if held and _is_there(path, handle):
                break
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if not held:
            time.sleep(_WAIT_S)
    try:
        yield
    finally:
        if os.name != "nt":  # a file that is open cannot be removed there
            path.unlink(missing_ok=True)
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
