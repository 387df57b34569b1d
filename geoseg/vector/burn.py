"""Burn polygons of a coverage back into pixels.

Borders are walked instead of areas filled: an edge changes what lies to its right in its rows, and the sum from the
left is then the value of every pixel. Neighbours compute the same crossings from the same edges, so no pixel falls
between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import shapely

from geoseg.vector.rings import Rings
from geoseg.vocabulary import ClassRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from geoseg.vocabulary import Grid, Polygons

_BAND = 1024  # rows burnt at once


def final_rows(batches: Iterable[Polygons], grid: Grid) -> Iterator[ClassRows]:
    """Yield the class raster that finished polygons amount to; a pixel goes to the polygon over its centre.

    Args:
        batches: polygons that do not overlap, in the coordinates of the grid's CRS.
        grid: where the pixels lie.
    """
    edges = _Edges.of(batches, grid)
    for row in range(0, grid.height, _BAND):
        height = min(_BAND, grid.height - row)
        yield ClassRows(row, edges.burn(row, height, grid.width))


@dataclass(frozen=True, slots=True)
class _Edges:
    """The edges of polygons in pixels, all pointing downwards."""

    top: NDArray[np.float64]
    """Shape (n,), row where an edge begins."""
    bottom: NDArray[np.float64]
    """Shape (n,), row where it ends."""
    left: NDArray[np.float64]
    """Shape (n,), column where it begins."""
    right: NDArray[np.float64]
    """Shape (n,), column where it ends."""
    change: NDArray[np.int16]
    """Shape (n,), by how much the value changes from its left to its right."""

    @classmethod
    def of(cls, batches: Iterable[Polygons], grid: Grid) -> Self:
        parts = [cls._of_batch(batch, grid) for batch in batches if len(batch.values)]
        nothing = [np.empty(0)] * 4 + [np.empty(0, np.int16)]
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)) if parts else nothing)

    @staticmethod
    def _of_batch(polygons: Polygons, grid: Grid) -> tuple[NDArray[Any], ...]:
        rings = Rings.of(shapely.orient_polygons(polygons.geometry))
        a, b, c, d, e, f = (~grid.transform)[:6]
        x, y = rings.xy.T
        col, row = a * x + b * y + c, d * x + e * y + f
        after = rings.following
        value = polygons.values.astype(np.int16)[rings.owner]
        # Counter-clockwise on the ground is the other way round in pixels where rows run southwards. Summed from the
        # left, an edge that ends a polygon counts negative.
        change = np.where(row[after] > row, -value, value) * (1 if grid.transform.determinant > 0 else -1)
        # Both neighbours of an edge must reckon from the same end, or rounding would set them apart.
        downwards = row <= row[after]
        top, bottom = np.where(downwards, row, row[after]), np.where(downwards, row[after], row)
        left, right = np.where(downwards, col, col[after]), np.where(downwards, col[after], col)
        return top, bottom, left, right, change.astype(np.int16)

    def burn(self, row: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return the classes of some rows, shape (height, width)."""
        first = np.clip(np.ceil(self.top - 0.5), row, row + height).astype(np.int64)
        last = np.clip(np.ceil(self.bottom - 0.5), row, row + height).astype(np.int64)
        count = last - first
        edge = np.repeat(np.arange(len(count)), count)
        rows = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count - first, count)
        share = (rows + 0.5 - self.top[edge]) / (self.bottom - self.top)[edge]
        cols = np.ceil(self.left[edge] + share * (self.right - self.left)[edge] - 0.5)
        change = np.zeros((height, width + 1), np.int32)
        np.add.at(change, (rows - row, np.clip(cols, 0, width).astype(np.int64)), self.change[edge])
        return np.cumsum(change, axis=1, out=change)[:, :width].astype(np.uint8)
