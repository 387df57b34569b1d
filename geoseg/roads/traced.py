"""Centrelines as they are traced, with what tells yards from streets."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from geoseg.vocabulary import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Traced(Lines):
    """Centrelines, one row each."""

    clings: NDArray[np.float64]
    """Shape (n,), share of the line that runs along a building on one side only, 0 to 1."""
    cut: NDArray[np.bool_]
    """Shape (n, 3), whether pixels without data cut off the road: where the line begins, where it ends, anywhere."""

    @classmethod
    def of(cls, parts: Sequence[Traced]) -> Self:
        """Return the lines of at least one part, in order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS))

    def chosen(self, kept: NDArray[np.bool_]) -> Self:
        """Return some of the lines; ``kept`` has the shape (n,)."""
        return type(self)(*(getattr(self, name)[kept] for name in _COLUMNS))


_COLUMNS = tuple(column.name for column in fields(Traced))
