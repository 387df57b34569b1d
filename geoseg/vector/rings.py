"""Polygons as flat arrays: all vertices, where each ring ends, where each polygon ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rings:
    """The rings of polygons, each without the repeated last vertex."""

    xy: NDArray[np.float64]
    """Shape (vertices, 2)."""
    first: NDArray[np.int64]
    """Shape (rings,), index of each ring's first vertex."""
    polygon: NDArray[np.int64]
    """Shape (rings,), index of the polygon a ring belongs to; exteriors come before their holes."""

    @classmethod
    def of(cls, polygons: NDArray[np.object_]) -> Self:
        """Take polygons of shape (n,) apart."""
        _, xy, (ring_ends, polygon_ends) = shapely.to_ragged_array(polygons, include_z=False)
        ring_ends = ring_ends.astype(np.int64)
        closing = ring_ends[1:] - 1
        polygon = np.repeat(np.arange(len(polygons)), np.diff(polygon_ends))
        return cls(np.delete(xy, closing, axis=0), ring_ends[:-1] - np.arange(len(closing)), polygon)

    @property
    def following(self) -> NDArray[np.int64]:
        """Index of the next vertex of the same ring, for every vertex; shape (vertices,)."""
        after = np.arange(1, len(self.xy) + 1)
        last = np.append(self.first[1:], len(self.xy)) - 1
        after[last] = self.first
        return after

    @property
    def owner(self) -> NDArray[np.int64]:
        """Index of the polygon of every vertex; shape (vertices,)."""
        return np.repeat(self.polygon, np.diff(np.append(self.first, len(self.xy))))
