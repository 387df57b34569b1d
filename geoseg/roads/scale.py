"""The working pixels of centrelines: how large they are on the ground, and how many of the scene's make one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import shapely

from geoseg.vector.measure import Ruler

if TYPE_CHECKING:
    from geoseg.vocabulary import Grid

_FINEST_M = 0.6  # metres; roads hold nothing smaller, and reach over more pixels the smaller these are


@dataclass(frozen=True, slots=True)
class Scale:
    """Working pixels: blocks of the scene's pixels, about half a metre where those are finer, else the same."""

    factor: int
    """Rows and columns of the scene's pixels in one working pixel."""
    height_m: float
    """Height of a working pixel on the ground, in metres."""
    width_m: float
    """Its width."""

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """Return the scale of a grid, true at its middle."""
        middle = grid.width // 2, grid.height // 2
        steps = [
            shapely.LineString([grid.transform @ middle, grid.transform @ np.add(middle, step)])
            for step in ((0, 1), (1, 0))
        ]
        height, width = Ruler.of(grid).lengths(np.array(steps, object)).tolist()
        factor = max(1, int(_FINEST_M // (height * width) ** 0.5))
        return cls(factor, height * factor, width * factor)

    @property
    def pixel_m(self) -> float:
        """Side of a square as large as a working pixel, in metres."""
        return float((self.height_m * self.width_m) ** 0.5)

    @property
    def diagonal_m(self) -> float:
        """Diagonal of a working pixel, in metres."""
        return float((self.height_m**2 + self.width_m**2) ** 0.5)
