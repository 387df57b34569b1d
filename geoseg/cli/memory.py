"""How a process takes memory from the system: given back at once by what streams scenes, kept by what trains.

Both are about glibc, https://man7.org/linux/man-pages/man3/mallopt.3.html, and do nothing without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_BYTES = 1_000_000
_NEVER = 2**31 - 1  # bytes: the most that a C int holds


def steady_memory() -> None:
    """Give large blocks back as soon as they are free.

    glibc raises the size from which blocks are taken from, and returned to, the system each time such a block is freed.
    Arrays of several megabytes then come from heaps that other blocks keep alive, and a run grows by a fifth with every
    thousand rows. A fixed size ends that.
    """
    _set("MALLOC_MMAP_THRESHOLD_", _M_MMAP_THRESHOLD, _BYTES)


def kept_memory() -> None:
    """Keep what is free: every training step takes the same blocks again, and new ones have to be zeroed."""
    _set("MALLOC_MMAP_MAX_", _M_MMAP_MAX, 0)
    _set("MALLOC_TRIM_THRESHOLD_", _M_TRIM_THRESHOLD, _NEVER)


def _set(variable: str, parameter: int, value: int) -> None:
    """Set a parameter, unless the user did by an environment variable."""
    if not sys.platform.startswith("linux") or variable in os.environ or "GLIBC_TUNABLES" in os.environ:
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(parameter, value)
