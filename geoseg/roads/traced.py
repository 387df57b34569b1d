"""Centrelines as they are traced, with what tells yards from streets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoseg.vocabulary import Lines

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Traced(Lines):
    """Centrelines, one row each."""

    clings: NDArray[np.float64]
    """Shape (n,), share of the line that runs along a building on one side only, 0 to 1."""
