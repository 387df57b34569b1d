"""Round the corners of arcs, without gaps, overlaps or crossings.

Every corner is cut at a quarter of both its edges (Chaikin, https://doi.org/10.1016/0146-664X(74)90028-8), or so much
nearer that nothing strays by more than a pixel or two, unless another vertex lies in the triangle that is cut off. Then
no other arc enters it either: it could not cross the two edges, and would have to cross the cut twice. So the triangles
of a map have nothing in common, and all are cut at once. Cuts lie on the edges exactly: these are halved, up to six
times, and count 64 units or a multiple.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.arcs import LOOP
from geoseg.vector.compiled import compiled
from geoseg.vector.nearby import indexed
from geoseg.vector.tears import sweeps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vector.arcs import Arcs

_MOST = 256  # units; what is cut off an edge at each end


def smooth(arcs: Arcs, kept: NDArray[np.bool_]) -> Arcs:
    """Return arcs with rounded corners. Nodes, the raster's frame and the ends of a belt stay where they are.

    Args:
        arcs: all arcs of a belt, in ``UNITS``, vertices at half pixels.
        kept: shape (arcs,), arcs that keep their corners.
    """
    if len(arcs.left) == 0:
        return arcs
    box = (*arcs.xy.min(axis=0), *arcs.xy.max(axis=0))
    xy, first = _cut(arcs.xy, arcs.first, kept | arcs.on_frame, arcs.start == LOOP, box)
    return replace(arcs, xy=xy, first=first)


@compiled
def _cut(xy: Any, first: Any, fixed: Any, loop: Any, box: Any) -> Any:
    """Cut every corner that may be cut once; return vertices and the index of each arc's first."""
    count = len(first) - 1
    index = indexed(xy, first, np.ones(count, np.bool_), box)
    result = np.empty((2 * len(xy), 2), np.int32)
    begin = np.empty(count + 1, np.int64)
    n = 0
    for arc in range(count):
        begin[arc] = n
        a, b = first[arc], first[arc + 1] - 1
        for i in range(a, b if loop[arc] else b + 1):
            before = xy[b - 1] if i == a else xy[i - 1]
            after = xy[a + 1] if i == b else xy[i + 1 if i < b else i]
            end = i in (a, b) and not loop[arc]
            bend = np.int64(xy[i, 0] - before[0]) * (after[1] - xy[i, 1]) - np.int64(xy[i, 1] - before[1]) * (
                after[0] - xy[i, 0]
            )
            p, q = _towards(xy[i], before), _towards(xy[i], after)
            stays = end or fixed[arc] or bend == 0 or (p == xy[i]).all() or (q == xy[i]).all()
            if stays or sweeps(index, xy[i], p, q):
                result[n] = xy[i]
                n += 1
            else:
                result[n], result[n + 1] = p, q
                n += 2
        if loop[arc]:
            result[n] = result[begin[arc]]
            n += 1
    begin[count] = n
    return result[:n].copy(), begin


@compiled
def _towards(corner: Any, other: Any) -> Any:
    """Return a place on the edge from a corner to another vertex, a quarter of its way or less; else the corner."""
    length = np.hypot(float(other[0] - corner[0]), float(other[1] - corner[1]))
    parts = 4
    while parts < 64 and length > _MOST * parts:
        parts *= 2
    if length > _MOST * parts:
        return corner + 0 * (other - corner)
    return corner + (other - corner) // parts
