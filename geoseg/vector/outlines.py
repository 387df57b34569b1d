"""Join arcs to the rings of faces.

A ring keeps its face on the left. Where a face meets itself at a vertex, the ring turns right, so it never touches
itself: every face has one exterior, and holes touch it in points at most, as polygons may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.vector.arcs import LOOP
from geoseg.vector.compiled import compiled

if TYPE_CHECKING:
    from affine import Affine
    from numpy.typing import NDArray

    from geoseg.vector.arcs import Arcs


@dataclass(frozen=True, slots=True)
class Outlines:
    """The rings of some faces, each closed by its first vertex; exteriors come before their holes."""

    xy: NDArray[np.int32]
    """Shape (vertices, 2), columns and rows in half pixels."""
    rings: NDArray[np.int64]
    """Shape (rings + 1,), index of each ring's first vertex, and at the end the number of vertices."""
    faces: NDArray[np.int64]
    """Shape (faces + 1,), index of each face's first ring, and at the end the number of rings."""

    def polygons(self, transform: Affine) -> NDArray[np.object_]:
        """Return shapely polygons on the ground, exteriors counter-clockwise; shape (faces,)."""
        a, b, c, d, e, f = transform[:6]
        col, row = self.xy.T / 2
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
    number = np.append(np.cumsum(chosen) - 1, -1)
    wanted = np.append(chosen, False)
    halves = np.sort(
        np.concatenate((np.flatnonzero(wanted[arcs.left]) * 2, np.flatnonzero(wanted[arcs.right]) * 2 + 1))
    )
    arc, backward = halves // 2, (halves & 1).astype(np.bool_)
    face = number[np.where(backward, arcs.right[arc], arcs.left[arc])]
    start = np.where(backward, arcs.end[arc], arcs.start[arc])
    end = np.where(backward, arcs.start[arc], arcs.end[arc])
    leaves = np.where(backward, (arcs.arrives[arc] + 2) % 4, arcs.leaves[arc])
    arrives = np.where(backward, (arcs.leaves[arc] + 2) % 4, arcs.arrives[arc])
    anchored = np.where(backward, arcs.end_anchored[arc], arcs.start_anchored[arc])
    order = np.lexsort((start, face))
    following = _following(order, face, start, end, leaves, arrives)
    sequence, first = _walk(following)
    ring_face = face[sequence[first[:-1]]]
    xy, begin, doubled_area = _drawn(arcs.xy, arcs.first, halves, anchored, sequence, first)
    # Counted downwards, rows turn the sense of rotation: an exterior has a negative area.
    rank = np.lexsort((doubled_area >= 0, ring_face))
    counts = np.diff(begin)[rank]
    rings = np.concatenate(([0], np.cumsum(counts)))
    taken = np.repeat(begin[:-1][rank] - rings[:-1], counts) + np.arange(rings[-1])
    faces = np.searchsorted(ring_face[rank], np.arange(int(chosen.sum()) + 1))
    return Outlines(xy[taken], rings, faces)


@compiled
def _following(order: Any, face: Any, start: Any, end: Any, leaves: Any, arrives: Any) -> Any:
    """Return the half arc that follows each half arc around its face, shape (half arcs,)."""
    count = order.size
    result = np.empty(count, np.int64)
    for half in range(count):
        if end[half] == LOOP:
            result[half] = half
            continue
        low = 0
        high = count
        while low < high:
            middle = (low + high) // 2
            other = order[middle]
            if face[other] < face[half] or (face[other] == face[half] and start[other] < end[half]):
                low = middle + 1
            else:
                high = middle
        best = order[low]
        sharpest = 4
        while low < count and face[order[low]] == face[half] and start[order[low]] == end[half]:
            other = order[low]
            turn = (1 - int(leaves[other]) + int(arrives[half])) % 4  # 0 to the right, 1 straight on, 2 to the left
            if turn < sharpest:
                sharpest = turn
                best = other
            low += 1
        result[half] = best
    return result


@compiled
def _walk(following: Any) -> Any:
    """Return half arcs ring by ring, and the index of each ring's first."""
    count = following.size
    sequence = np.empty(count, np.int64)
    first = np.empty(count + 1, np.int64)
    seen = np.zeros(count, np.bool_)
    rings = 0
    n = 0
    for half in range(count):
        if seen[half]:
            continue
        first[rings] = n
        rings += 1
        at = half
        while not seen[at]:
            seen[at] = True
            sequence[n] = at
            n += 1
            at = following[at]
    first[rings] = n
    return sequence, first[: rings + 1].copy()


@compiled
def _drawn(xy: Any, first: Any, halves: Any, anchored: Any, sequence: Any, rings: Any) -> Any:
    """Return the vertices of each ring without anchors on straight lines, and its doubled area in half pixels."""
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
            half = sequence[step]
            arc = halves[half] // 2
            a = first[arc]
            b = first[arc + 1] - 1
            maybe[n] = anchored[half]
            for i in range(b - a):
                result[n] = xy[b - i] if halves[half] & 1 else xy[a + i]
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
