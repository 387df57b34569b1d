"""Memory that goes back to the system when it is no longer used, in processes that stream large scenes.

glibc raises the size from which blocks are taken from, and returned to, the system each time such a block is freed.
Arrays of several megabytes then come from heaps that other blocks keep alive, and a run grows by a fifth with every
thousand rows. A fixed size ends that: https://man7.org/linux/man-pages/man3/mallopt.3.html, M_MMAP_THRESHOLD.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_M_MMAP_THRESHOLD = -3
_BYTES = 1_000_000


def steady_memory() -> None:
    """Fix the size; does nothing without glibc, or where the user has set it."""
    if not sys.platform.startswith("linux") or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _BYTES)
