"""Checkpoints of a training run: enough to go on after the process was killed at any moment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from geoseg.errors import InputError
from geoseg.learn.journal import replaced

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def store(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and texts so that the file is either the old state or the new one, never half of it.

    Raises:
        OutputError: it cannot be written; the old state is still there.
    """
    import torch

    with replaced(path) as half, half.open("wb") as out:
        torch.save(state, out)
        out.flush()
        os.fsync(out.fileno())


def recall(path: Path, entries: Collection[str], device: str = "cpu") -> dict[str, Any] | None:
    """Return the stored state, or None where there is none; nothing in the file is executed.

    Raises:
        InputError: the file is there but cannot be read, or is no state with these entries.
    """
    import torch

    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location=device)
    except Exception as wrong:
        raise InputError(
            f"{path}: is no checkpoint of this version; remove its folder to start anew ({wrong})"
        ) from wrong
    if not isinstance(state, dict) or set(state) != set(entries):
        raise InputError(f"{path}: is no checkpoint of this version; remove its folder to start anew")
    return state
