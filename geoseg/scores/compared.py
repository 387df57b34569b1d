"""What every score is made from: rows of two maps on one grid, in one legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ComparedRows:
    """Full-width rows of two maps; strips come in order, without gaps or overlaps."""

    row: int
    """First row."""
    predicted: NDArray[np.uint8]
    """Shape (height, width), legend values, 0 for nodata, which is wrong wherever there is a label."""
    reference: NDArray[np.uint8]
    """Shape (height, width), legend values, 0 where there is no label and nothing counts."""
    confidence: NDArray[np.uint8] | None = None
    """Shape (height, width), probability of the predicted class in whole percents, 255 where unknown."""

    @property
    def bottom(self) -> int:
        """First row below."""
        return self.row + len(self.reference)
