"""The folder of a run: made, held by one run at a time, and emptied of a run's own files."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from geoseg.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK = ".lock"
CHECKPOINT = "last.pt"
BEST = "best.safetensors"
"""The model as it would be if the run ended at its best scoring so far, but for scores and temperature."""
HISTORY = "history.jsonl"
EPOCHS = "epochs.jsonl"
PAGE, CURVES, LOSS, SAMPLES = "index.html", "curves.png", "loss.png", "samples.png"
OWN = (CHECKPOINT, BEST, HISTORY, EPOCHS, PAGE, CURVES, LOSS, SAMPLES)
"""Files that a run writes there, all of them."""


@contextmanager
def run_folder(folder: Path, *, restart: bool = False) -> Iterator[Path]:
    """Lend the folder of a run to this process alone.

    Args:
        folder: made if need be.
        restart: take an earlier run's files out of it.

    Raises:
        OutputError: it cannot be made, or is a file.
        UsageError: another run is at work there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("a")
    except FileExistsError:
        raise OutputError(f"{folder}: is a file, but the run keeps its checkpoints in a folder of that name") from None
    except OSError as error:
        raise OutputError(f"{folder}: cannot hold a run ({error.strerror})") from error
    with lock:
        if not _taken(lock.fileno()):
            raise UsageError(f"{folder}: another run is at work there; wait for it, or give another --out")
        if restart:
            for name in OWN:
                (folder / name).unlink(missing_ok=True)
        yield folder


def _taken(lock: int) -> bool:
    """Take a lock that ends with the process, however it ends; True where there are no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
