"""Half-written results of a run that had to be ended by force; one that is asked to stop removes them itself."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEM_LENGTH = 50  # as geoseg cuts the names of its temporary files


def remove_leftovers(results: Iterable[str], since: float) -> None:
    """Remove the temporary files that geoseg keeps beside its results until they are finished.

    Args:
        results: the files that were to be made.
        since: when the run began, as seconds of `time.time`; older files are another run's.
    """
    for result in map(Path, results):
        pattern = re.compile(
            re.escape(f".{result.stem[:_STEM_LENGTH]}.") + r"\d{1,10}\.[0-9a-f]{8}\.tmp\b.*", re.DOTALL
        )
        with contextlib.suppress(OSError):
            for found in result.parent.iterdir():
                if pattern.fullmatch(found.name) and found.stat().st_mtime >= since:
                    with contextlib.suppress(OSError):
                        found.unlink()
