"""Where classes meet: a graph of vertices and the cracks between pixels that join them.

A crack is a side of a pixel with another value on the other side of it; a vertex is a pixel corner where cracks turn
or branch. Two neighbouring rows of runs give all vertices on the line between them (rows are swept once, downwards).

A belt is a stretch of rows that is traced by itself. The line below it belongs to the next belt: cracks that reach it
end there at a vertex that both belts know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled
from geoseg.vector.merging import numbered, unite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vector.runs import Runs

NORTH, EAST, SOUTH, WEST = range(4)
OPEN = -1
"""A crack that is not there, or leads out of the belt."""

OUTSIDE = -1
"""The face beyond the raster's frame."""


@dataclass(frozen=True, slots=True)
class Cracks:
    """The crack graph of a belt, vertices in the order of rows, then columns."""

    xy: NDArray[np.int32]
    """Shape (vertices, 2), column and row of the pixel corner, rows counted in the scene."""
    ways: NDArray[np.int32]
    """Shape (vertices, 4), the vertex at the other end of the crack to the north, east, south and west, or ``OPEN``."""
    sides: NDArray[np.int32]
    """Shape (vertices, 4), the faces north-west, north-east, south-west and south-east of each vertex."""
    is_node: NDArray[np.bool_]
    """Shape (vertices,), whether arcs end here: where three or four cracks meet, and on the belt's border lines."""
    is_anchor: NDArray[np.bool_]
    """Shape (vertices,), whether arcs end here only because the belt does."""
    faces: int
    """Number of faces: regions of the belt's rows and of the row above."""
    face: NDArray[np.int64]
    """Shape (runs,), face of each run: of the row above if there is one, of the belt's rows, not of the row below."""


def find_cracks(runs: Runs, row: int, *, above: bool, below: bool) -> Cracks:
    """Return the cracks of a belt.

    Args:
        runs: the belt's rows, with one more row above and below where ``above`` and ``below`` say so.
        row: place in the scene of the first of these rows.
        above: whether the first row belongs to the belt above.
        below: whether the last row belongs to the belt below.
    """
    values = runs.of_cells(row)
    xy, ways, sides, is_node, is_anchor, face, faces = _sweep(runs.first, runs.starts, values, runs.width, above, below)
    xy[:, 1] += row
    return Cracks(xy, ways, sides, is_node, is_anchor, faces, face)


@compiled
def _sweep(first: Any, starts: Any, values: Any, width: Any, above: Any, below: Any) -> Any:
    height = first.size - 1
    top = 1 if above else 0  # first line that belongs to the belt
    bottom = height - 1 if below else height  # its last line, the next belt's first if there is one
    most = 2 * (starts.size + height + 1) + 2
    xy = np.empty((most, 2), np.int32)
    ways = np.empty((most, 4), np.int32)
    sides = np.empty((most, 4), np.int32)
    is_node = np.empty(most, np.bool_)
    is_anchor = np.empty(most, np.bool_)
    parent = np.arange(first[bottom])
    upper = np.full(width + 1, OPEN, np.int32)  # the vertex from which the crack in each column comes down
    n = 0
    for line in range(top, bottom + 1):
        a = first[line - 1] if line > 0 else first[0]
        a_end = first[line] if line > 0 else a
        b = first[line]
        b_end = first[line + 1] if line < height else b
        seam = (above and line == top) or (below and line == bottom)
        ends = below and line == bottom
        last = -1  # the vertex from which the crack along this line comes
        a_left = a_right = b_left = b_right = -1  # runs beside the vertex; none beyond the frame
        x = 0
        while True:
            if a < a_end and starts[a] == x:
                a_right = a
                a += 1
            if b < b_end and starts[b] == x:
                b_right = b
                b += 1
            if x == width:
                a_right = b_right = -1
            nw = values[a_left] if a_left >= 0 else -1
            ne = values[a_right] if a_right >= 0 else -1
            sw = values[b_left] if b_left >= 0 else -1
            se = values[b_right] if b_right >= 0 else -1
            north, east, south, west = nw != ne, ne != se, sw != se, nw != sw
            degree = int(north) + int(east) + int(south) + int(west)
            straight = degree == 2 and (north == south)
            if degree > 0 and (not straight or (seam and north)) and (north or not ends):
                xy[n, 0] = x
                xy[n, 1] = line
                is_node[n] = degree > 2 or (seam and north)
                is_anchor[n] = degree == 2 and seam and north
                ways[n] = OPEN
                sides[n, 0] = a_left
                sides[n, 1] = a_right
                sides[n, 2] = OUTSIDE if ends else b_left
                sides[n, 3] = OUTSIDE if ends else b_right
                if north and not (above and line == top):
                    ways[n, NORTH] = upper[x]
                    ways[upper[x], SOUTH] = n
                if west and not ends:
                    ways[n, WEST] = last
                    ways[last, EAST] = n
                if south:
                    upper[x] = n
                if east:
                    last = n
                n += 1
            if x == width:
                break
            if not ends and ne == se and ne >= 0:
                unite(parent, a_right, b_right)
            a_left = a_right
            b_left = b_right
            x = width
            if a < a_end:
                x = min(x, starts[a])
            if b < b_end:
                x = min(x, starts[b])
    face, faces = numbered(parent)
    for v in range(n):
        for side in range(4):
            if sides[v, side] >= 0:
                sides[v, side] = face[sides[v, side]]
    return xy[:n].copy(), ways[:n].copy(), sides[:n].copy(), is_node[:n].copy(), is_anchor[:n].copy(), face, faces
