"""Name temporary files beside their targets, and remove those that crashes leave."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEM_LENGTH = 50  # the temporary name must fit into 255 bytes wherever the real one does
_STALE_SECONDS = 24 * 3600


def temporary_beside(path: Path) -> Path:
    """Return a free name ``.<stem>.<pid>.<random>.tmp<suffix>`` in the folder of ``path``.

    The real ending comes last because GDAL chooses by it.
    """
    return path.with_name(f".{path.stem[:_STEM_LENGTH]}.{os.getpid()}.{secrets.token_hex(4)}.tmp{path.suffix}")


def remove_with_company(temporary: Path) -> None:
    """Remove a temporary file and everything that begins with its name up to ``.tmp``.

    Libraries add ``-journal``, ``.aux.xml``, ``.ovr``, ``.tmp_rtree_….db`` and more; the random part of the
    name makes all of them ours. What cannot be removed (Windows, still open) is left for `remove_stale`.
    """
    name = temporary.name.removesuffix(temporary.suffix) if temporary.suffix != ".tmp" else temporary.name
    for found in _beginning_with(name, temporary.parent):
        with contextlib.suppress(OSError):
            found.unlink()


def remove_stale(path: Path, older_than_s: float = _STALE_SECONDS) -> None:
    """Remove temporary files of ``path`` that a killed run left: a day old, their process gone from here.

    Args:
        path: the final name.
        older_than_s: their least age in seconds. Of other hosts' processes nothing is known, hence a day; who knows
            that a file is of this host may say 0.
    """
    for found, pid in _temporaries(path):
        with contextlib.suppress(OSError):
            if time.time() - found.stat().st_mtime >= older_than_s and not is_alive(pid):
                found.unlink()


def _temporaries(path: Path) -> Iterator[tuple[Path, int]]:
    """Yield the temporary files of ``path`` with the process that made them."""
    start = f".{path.stem[:_STEM_LENGTH]}."
    pattern = re.compile(re.escape(start) + r"(\d{1,10})\.[0-9a-f]{8}\.tmp\b.*", re.DOTALL)
    for found in _beginning_with(start, path.parent):
        if mine := pattern.fullmatch(found.name):
            yield found, int(mine[1])


def _beginning_with(start: str, folder: Path) -> list[Path]:
    """Return the files of a folder whose names begin with ``start``; of the others no more than a name is made.

    A folder that many runs fill is listed by each of them.
    """
    with contextlib.suppress(OSError):
        return [folder / name for name in os.listdir(folder) if name.startswith(start)]  # noqa: PTH208
    return []


if sys.platform == "win32":

    def is_alive(pid: int) -> bool:
        """Tell whether a process runs on this host; os.kill(pid, 0) would send it Ctrl-C here."""
        query_limited_information = 0x1000
        handle = ctypes.windll.kernel32.OpenProcess(query_limited_information, 0, pid)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)

else:

    def is_alive(pid: int) -> bool:
        """Tell whether a process runs on this host; one that has ended and only waits for its parent does not."""
        with contextlib.suppress(OSError, IndexError):  # no Linux, or no such process
            told = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
            if told.rpartition(")")[2].split()[0] in "ZX":
                return False
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass  # it runs, for somebody else
        return True
