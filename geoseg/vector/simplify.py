"""Fewer vertices for the arcs of a belt, without gaps, overlaps or crossings at any tolerance.

Arcs are first led through the middles of their cracks (see ``middles``). Then Douglas and Peucker's method
(https://doi.org/10.3138/FM57-6770-U75U-7727) replaces stretches of an arc by chords. Arcs are stored once, so
neighbours keep their common border; and two chords never cross, by a rule that needs nothing but the nearby vertices:

    A chord may replace a stretch only if no other vertex lies on it, or between it and the stretch.

"Between" means that a ray from the vertex crosses the stretch and the chord an odd number of times. Suppose that two
such chords a and b crossed. They cross once. The ends of b do not lie between a and its stretch A, so b crosses a and
A an even number of times, hence A an odd number. But likewise A, whose ends do not lie between b and its stretch B,
crosses b and B an even number of times, and B never, because arcs do not cross before. That cannot both be.

All vertices that matter lie in the same belt, so a belt is done by itself and the result is that of the whole scene.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.arcs import LOOP
from geoseg.vector.compiled import compiled
from geoseg.vector.middles import through_middles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vector.arcs import Arcs

_CELL = 8  # half pixels; side of the squares in which nearby vertices are looked up


def simplify(arcs: Arcs, tolerance_px: float, width: int, *, top: int, bottom: int) -> Arcs:
    """Return the same arcs with fewer vertices.

    Nodes stay where they are, and so does the raster's frame.

    Args:
        arcs: all arcs of a belt.
        tolerance_px: how far a chord may stray from the middles of the cracks, in pixels; 0 keeps every corner.
        width: pixels of a row.
        top: first row of the belt.
        bottom: row after its last.
    """
    if tolerance_px == 0 or len(arcs.left) == 0:
        return arcs
    ends = np.stack((arcs.start_anchored, arcs.end_anchored), axis=1)
    ways = np.stack((arcs.leaves, arcs.arrives), axis=1)
    loop = arcs.start == LOOP
    xy, first = through_middles(arcs.xy, arcs.first, arcs.on_frame, loop, ends, ways)
    kept = _chords(xy, first, arcs.on_frame, _bent(arcs, width, top, bottom), 2 * tolerance_px)
    counts = np.concatenate(([0], np.cumsum(kept)))
    return replace(arcs, xy=xy[kept], first=counts[first])


def _bent(arcs: Arcs, width: int, top: int, bottom: int) -> NDArray[np.bool_]:
    """Tell which arcs must not become a straight chord, shape (arcs,), because another arc may become the same.

    These are arcs between the same two nodes, and those with both ends on one border line of the belt, where the next
    belt may have such an arc.
    """
    low, high = np.minimum(arcs.start, arcs.end), np.maximum(arcs.start, arcs.end)
    order = np.lexsort((high, low))
    same = (np.diff(low[order]) == 0) & (np.diff(high[order]) == 0)
    bent = np.zeros(len(low), np.bool_)
    bent[order[1:][same]] = bent[order[:-1][same]] = True
    rows = low // (width + 1), high // (width + 1)
    return np.asarray(bent | ((rows[0] == rows[1]) & ((rows[0] == top) | (rows[0] == bottom))))


@compiled
def _chords(xy: Any, first: Any, on_frame: Any, bent: Any, tolerance: Any) -> Any:
    """Return which vertices stay, shape (vertices,)."""
    kept = np.zeros(xy.shape[0], np.bool_)
    cells = _in_cells(xy)
    stack = [(np.int64(0), np.int64(0), False) for _ in range(0)]
    for arc in range(first.size - 1):
        a = first[arc]
        b = first[arc + 1] - 1
        if on_frame[arc]:
            kept[a : b + 1] = True
            continue
        kept[a] = kept[b] = True
        if xy[a, 0] == xy[b, 0] and xy[a, 1] == xy[b, 1]:
            middle = a
            furthest = 0
            for i in range(a + 1, b):
                away = (xy[i, 0] - xy[a, 0]) ** 2 + (xy[i, 1] - xy[a, 1]) ** 2
                if away > furthest:
                    furthest = away
                    middle = i
            kept[middle] = True
            # A loop of two chords has no inside: the half that strays further stays bent.
            first_half, _ = _furthest(xy, a, middle)
            second_half, _ = _furthest(xy, middle, b)
            stack.append((a, middle, first_half >= second_half))
            stack.append((middle, b, first_half < second_half))
        else:
            stack.append((a, b, bent[arc]))
        while len(stack) > 0:
            p, q, must_bend = stack.pop()
            if q - p < 2:
                continue
            away, middle = _furthest(xy, p, q)
            if not must_bend and away <= tolerance and _clear(xy, p, q, tolerance, cells):
                continue
            kept[middle] = True
            stack.append((p, middle, False))
            stack.append((middle, q, False))
    return kept


@compiled
def _furthest(xy: Any, p: Any, q: Any) -> Any:
    """Return the largest distance of the vertices between p and q from their chord, and the vertex it belongs to."""
    x, y = float(xy[p, 0]), float(xy[p, 1])
    dx, dy = xy[q, 0] - x, xy[q, 1] - y
    squared = dx * dx + dy * dy
    furthest = -1.0
    middle = p
    for i in range(p + 1, q):
        ex, ey = xy[i, 0] - x, xy[i, 1] - y
        along = ex * dx + ey * dy
        if squared > 0 and along > 0:
            share = min(1.0, along / squared)
            ex -= share * dx
            ey -= share * dy
        away = ex * ex + ey * ey
        if away > furthest:
            furthest = away
            middle = i
    return np.sqrt(max(furthest, 0.0)), middle


@compiled
def _in_cells(xy: Any) -> Any:
    """Sort vertices into square cells.

    Returns:
        The vertices, cell by cell; index of each cell's first; cells in a row; and the corner of the first cell.
    """
    low_x = xy[:, 0].min()
    low_y = xy[:, 1].min()
    cols = (xy[:, 0].max() - low_x) // _CELL + 1
    rows = (xy[:, 1].max() - low_y) // _CELL + 1
    begin = np.zeros(rows * cols + 1, np.int64)
    for i in range(xy.shape[0]):
        begin[(xy[i, 1] - low_y) // _CELL * cols + (xy[i, 0] - low_x) // _CELL + 1] += 1
    begin = np.cumsum(begin)
    filled = begin[:-1].copy()
    inside = np.empty(xy.shape[0], np.int32)
    for i in range(xy.shape[0]):
        cell = (xy[i, 1] - low_y) // _CELL * cols + (xy[i, 0] - low_x) // _CELL
        inside[filled[cell]] = i
        filled[cell] += 1
    return inside, begin, cols, low_x, low_y


@compiled
def _clear(xy: Any, p: Any, q: Any, tolerance: Any, cells: Any) -> Any:
    """Tell whether no vertex but p and q lies on their chord, or between it and the arc from p to q."""
    inside, cell, cols, low_x, low_y = cells
    left = right = xy[p, 0]
    top = bottom = xy[p, 1]
    for i in range(p + 1, q + 1):
        left, right = min(left, xy[i, 0]), max(right, xy[i, 0])
        top, bottom = min(top, xy[i, 1]), max(bottom, xy[i, 1])
    x, y = xy[p, 0], xy[p, 1]
    dx, dy = xy[q, 0] - x, xy[q, 1] - y
    for row in range((top - low_y) // _CELL, (bottom - low_y) // _CELL + 1):
        # The columns that the chord, widened by the tolerance, has in this row of cells.
        near, far = float(left), float(right)
        if dy != 0:
            upper = (row * _CELL + low_y - tolerance - 1 - y) / dy
            lower = (row * _CELL + low_y + _CELL + tolerance + 1 - y) / dy
            upper, lower = min(1.0, max(0.0, upper)), min(1.0, max(0.0, lower))
            near = max(near, x + min(upper * dx, lower * dx) - tolerance - 1)
            far = min(far, x + max(upper * dx, lower * dx) + tolerance + 1)
        if near > far:
            continue
        begin = row * cols + (int(np.floor(near)) - low_x) // _CELL
        end = row * cols + (int(np.ceil(far)) - low_x) // _CELL
        for k in range(cell[begin], cell[end + 1]):
            i = inside[k]
            if p <= i <= q or xy[i, 0] < left or xy[i, 0] > right or xy[i, 1] < top or xy[i, 1] > bottom:
                continue
            if (xy[i, 0] == x and xy[i, 1] == y) or (xy[i, 0] == xy[q, 0] and xy[i, 1] == xy[q, 1]):
                continue
            if _between(xy, p, q, xy[i, 0], xy[i, 1]):
                return False
    return True


@compiled
def _between(xy: Any, p: Any, q: Any, x: Any, y: Any) -> Any:
    """Tell whether a place lies on the chord from p to q, or between it and the arc."""
    across = (xy[q, 0] - xy[p, 0]) * np.int64(y - xy[p, 1]) - (x - xy[p, 0]) * np.int64(xy[q, 1] - xy[p, 1])
    if across == 0:
        low_x, high_x = min(xy[p, 0], xy[q, 0]), max(xy[p, 0], xy[q, 0])
        low_y, high_y = min(xy[p, 1], xy[q, 1]), max(xy[p, 1], xy[q, 1])
        if low_x <= x <= high_x and low_y <= y <= high_y:
            return True
    odd = False
    last = q
    for i in range(p, q + 1):
        x0, y0, x1, y1 = xy[last, 0], xy[last, 1], xy[i, 0], xy[i, 1]
        if (y0 > y) != (y1 > y):
            side = np.int64(x1 - x0) * (y - y0) - np.int64(x - x0) * (y1 - y0)
            if (side > 0) == (y1 > y0):
                odd = not odd
        last = i
    return odd
