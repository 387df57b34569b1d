"""Draw the rings of faces from their arcs, and polygons from rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.vector.arcs import UNITS
from geoseg.vector.around import walk_around
from geoseg.vector.compiled import compiled

if TYPE_CHECKING:
    from affine import Affine
    from numpy.typing import NDArray

    from geoseg.vector.arcs import Arcs


@dataclass(frozen=True, slots=True)
class Outlines:
    """The rings of some faces, each closed by its first vertex; exteriors come before their holes."""

    xy: NDArray[np.int32]
    """Shape (vertices, 2), columns and rows in ``UNITS`` of a pixel."""
    rings: NDArray[np.int64]
    """Shape (rings + 1,), index of each ring's first vertex, and at the end the number of vertices."""
    faces: NDArray[np.int64]
    """Shape (faces + 1,), index of each face's first ring, and at the end the number of rings."""

    def polygons(self, transform: Affine) -> NDArray[np.object_]:
        """Return shapely polygons on the ground, exteriors counter-clockwise; shape (faces,)."""
        a, b, c, d, e, f = transform[:6]
        col, row = self.xy.T / UNITS
        ground = np.column_stack((a * col + b * row + c, d * col + e * row + f))
        drawn = shapely.from_ragged_array(shapely.GeometryType.POLYGON, ground, (self.rings, self.faces))
        # On the usual grid, whose rows run southwards, rings have the right sense already.
        result: NDArray[np.object_] = drawn if transform.determinant < 0 else shapely.orient_polygons(drawn)
        return result


def outlines(arcs: Arcs, chosen: NDArray[np.bool_]) -> Outlines:
    """Return the rings of the chosen faces, in the order of the faces.

    Args:
        arcs: arcs, among them all of the chosen faces.
        chosen: shape (faces,).
    """
    around = walk_around(arcs, chosen)
    arc, backward = around.halves // 2, (around.halves & 1).astype(np.bool_)
    anchored = np.where(backward, arcs.end_anchored[arc], arcs.start_anchored[arc])
    xy, begin, doubled_area = _drawn(arcs.xy, arcs.first, around.halves, anchored, around.rings)
    # Counted downwards, rows turn the sense of rotation: an exterior has a negative area.
    rank = np.lexsort((doubled_area >= 0, around.face))
    counts = np.diff(begin)[rank]
    rings = np.concatenate(([0], np.cumsum(counts)))
    taken = np.repeat(begin[:-1][rank] - rings[:-1], counts) + np.arange(rings[-1])
    faces = np.searchsorted(around.face[rank], np.arange(int(chosen.sum()) + 1))
    return Outlines(xy[taken], rings, faces)


@compiled
def _drawn(xy: Any, first: Any, halves: Any, anchored: Any, rings: Any) -> Any:
    """Return the vertices of each ring without anchors on straight lines, and its doubled area."""
    most = 0
    for half in halves:
        most += first[half // 2 + 1] - first[half // 2]
    result = np.empty((most + rings.size, 2), np.int32)
    maybe = np.zeros(most + rings.size, np.bool_)
    begin = np.empty(rings.size, np.int64)
    area = np.zeros(rings.size - 1, np.int64)
    n = 0
    for ring in range(rings.size - 1):
        begin[ring] = n
        for step in range(rings[ring], rings[ring + 1]):
            half = halves[step]
            arc = half // 2
            a = first[arc]
            b = first[arc + 1] - 1
            maybe[n] = anchored[step]
            for i in range(b - a):
                result[n] = xy[b - i] if half & 1 else xy[a + i]
                if i > 0:
                    maybe[n] = False
                n += 1
        m = begin[ring]
        size = n - m
        kept = 0
        # An anchor is dropped where it lies straight between its neighbours; these are compared as they were.
        before_x, before_y = result[n - 1, 0], result[n - 1, 1]
        first_x, first_y = result[m, 0], result[m, 1]
        for i in range(size):
            x, y = result[m + i, 0], result[m + i, 1]
            next_x = result[m + i + 1, 0] if i + 1 < size else first_x
            next_y = result[m + i + 1, 1] if i + 1 < size else first_y
            bend = np.int64(x - before_x) * (next_y - y) - np.int64(next_x - x) * (y - before_y)
            if bend != 0 or not maybe[m + i]:
                result[m + kept, 0] = x
                result[m + kept, 1] = y
                kept += 1
            before_x, before_y = x, y
        n = m + kept
        for i in range(kept):
            j = i + 1 if i + 1 < kept else 0
            area[ring] += np.int64(result[m + i, 0]) * result[m + j, 1] - np.int64(result[m + j, 0]) * result[m + i, 1]
        result[n] = result[m]
        n += 1
    begin[rings.size - 1] = n
    return result[:n].copy(), begin, area
