"""Stairs of pixels become slopes: arcs are led through the middles of their cracks.

Nodes stay where they are. Every crack belongs to one arc, so arcs that did not cross still do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geoseg.vector.compiled import compiled
from geoseg.vector.cracks import NORTH, SOUTH


@compiled
def through_middles(xy: Any, first: Any, on_frame: Any, loop: Any, anchored: Any, ways: Any) -> Any:
    """Lead arcs through the middles of their cracks, or half a pixel beside the corners of longer straight lines.

    Args:
        xy: (vertices, 2) as in `Arcs`.
        first: (arcs + 1,) as in `Arcs`.
        on_frame: (arcs,) arcs that keep their corners.
        loop: (arcs,) arcs without ends.
        anchored: (arcs, 2) whether start and end are anchors. An anchor becomes the middle of the crack above it: what
            lies there if the arc is not cut into belts.
        ways: (arcs, 2) directions of the first and the last crack.

    Returns:
        Vertices and the index of each arc's first, in the same form.
    """
    count = first.size - 1
    result = np.empty((2 * xy.shape[0] + 2 * count, 2), np.int32)
    begin = np.empty(count + 1, np.int64)
    n = 0
    for arc in range(count):
        begin[arc] = n
        a = first[arc]
        b = first[arc + 1] - 1
        if not loop[arc]:
            result[n, 0] = xy[a, 0]
            result[n, 1] = xy[a, 1] - anchored[arc, 0]
            n += 1
        if on_frame[arc]:
            for i in range(a if loop[arc] else a + 1, b):
                result[n] = xy[i]
                n += 1
        else:
            # At an anchor on the belt's upper line an arc goes on as if it came from above.
            from_above = anchored[arc, 0] and ways[arc, 0] != NORTH
            to_above = anchored[arc, 1] and ways[arc, 1] != SOUTH
            for i in range(a, b):
                dx = xy[i + 1, 0] - xy[i, 0]
                dy = xy[i + 1, 1] - xy[i, 1]
                length = max(abs(dx), abs(dy)) // 2
                dx = np.sign(dx)
                dy = np.sign(dy)
                starts = i == a and not loop[arc]
                ends = i == b - 1 and not loop[arc]
                if starts and from_above:
                    if ways[arc, 0] == SOUTH:
                        length += 1
                    else:
                        starts = False
                if ends and to_above:
                    if ways[arc, 1] == NORTH:
                        length += 1
                    else:
                        ends = False
                if length == 1:
                    # An upper belt's anchor is this middle. A line of one crack from node to node needs none.
                    is_anchor = (starts and anchored[arc, 0]) or (ends and anchored[arc, 1])
                    if not is_anchor and not (starts and ends):
                        result[n, 0] = xy[i, 0] + dx
                        result[n, 1] = xy[i, 1] + dy
                        n += 1
                else:
                    if not starts:
                        result[n, 0] = xy[i, 0] + dx
                        result[n, 1] = xy[i, 1] + dy
                        n += 1
                    if not ends:
                        result[n, 0] = xy[i + 1, 0] - dx
                        result[n, 1] = xy[i + 1, 1] - dy
                        n += 1
        if loop[arc]:
            result[n] = result[begin[arc]]
        else:
            result[n, 0] = xy[b, 0]
            result[n, 1] = xy[b, 1] - anchored[arc, 1]
        n += 1
    begin[count] = n
    return result[:n].copy(), begin
