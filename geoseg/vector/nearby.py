"""Look up the pieces of arcs near a place, while arcs are exchanged.

An index is a tuple: pieces (x0, y0, x1, y1); whether each still counts; entries (piece, next entry); the first entry
of each cell; left, top, columns and rows of the cells; the first piece of each arc; and the pieces at both its ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geoseg.vector.compiled import compiled

_CELL = 2048  # units; side of a cell, 16 pixels


@compiled
def indexed(xy: Any, first: Any, near: Any, box: Any) -> Any:
    """Return an index of the arcs that are near, as far as they lie in the box (left, top, right, bottom)."""
    arcs = len(first) - 1
    cols = (box[2] - box[0]) // _CELL + 1
    rows = (box[3] - box[1]) // _CELL + 1
    # The first of each only tells numba the type.
    pieces = [(np.int64(0), np.int64(0), np.int64(0), np.int64(0))]
    counts = [False]
    entries = [(np.int64(0), np.int64(0))]
    cells = np.full(cols * rows, -1, np.int64)
    place = (np.int64(box[0]), np.int64(box[1]), np.int64(cols), np.int64(rows))
    piece_first = np.empty(arcs + 1, np.int64)
    at_ends = np.full((arcs, 2), -1, np.int64)
    index = (pieces, counts, entries, cells, place, piece_first, at_ends)
    for arc in range(arcs):
        piece_first[arc] = len(pieces)
        if not near[arc]:
            continue
        for i in range(first[arc], first[arc + 1] - 1):
            insert(index, xy[i], xy[i + 1])
        at_ends[arc, 0] = piece_first[arc]
        at_ends[arc, 1] = len(pieces) - 1
    piece_first[arcs] = len(pieces)
    return index


@compiled
def insert(index: Any, p: Any, q: Any) -> Any:
    """Add a piece and return its number."""
    pieces, counts, entries, cells, place, _, _ = index
    piece = len(pieces)
    pieces.append((np.int64(p[0]), np.int64(p[1]), np.int64(q[0]), np.int64(q[1])))
    counts.append(True)
    left, right, top, bottom = block(place, min(p[0], q[0]), max(p[0], q[0]), min(p[1], q[1]), max(p[1], q[1]))
    for row in range(top, bottom + 1):
        for col in range(left, right + 1):
            cell = row * place[2] + col
            entries.append((np.int64(piece), cells[cell]))
            cells[cell] = len(entries) - 1
    return piece


@compiled
def block(place: Any, left: Any, right: Any, top: Any, bottom: Any) -> Any:
    """Return the first and last columns and rows of cells of a box."""
    return (
        max(np.int64(0), (left - place[0]) // _CELL),
        min(place[2] - 1, (right - place[0]) // _CELL),
        max(np.int64(0), (top - place[1]) // _CELL),
        min(place[3] - 1, (bottom - place[1]) // _CELL),
    )


@compiled
def touched(index: Any, x0: Any, y0: Any, x1: Any, y1: Any, joins: Any) -> Any:
    """Tell whether a segment meets a piece; where it ``joins``, common end points alone do not count."""
    pieces, counts, entries, cells, place, _, _ = index
    left, right, top, bottom = block(place, min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1))
    for row in range(top, bottom + 1):
        for col in range(left, right + 1):
            entry = cells[row * place[2] + col]
            while entry >= 0:
                piece, entry = entries[entry]
                if not counts[piece]:
                    continue
                a, b, c, d = pieces[piece]
                if joins:
                    if overlap(x0, y0, x1, y1, a, b, c, d):
                        return True
                elif meet(x0, y0, x1, y1, a, b, c, d):
                    return True
    return False


@compiled
def _side(x0: Any, y0: Any, x1: Any, y1: Any, x: Any, y: Any) -> Any:
    """Return on which side of a line a place lies: 1, -1, or 0 on it."""
    cross = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
    return 1 if cross > 0 else (-1 if cross < 0 else 0)


@compiled
def _within(x0: Any, y0: Any, x1: Any, y1: Any, x: Any, y: Any) -> Any:
    """Tell whether a place on a segment's line lies on the segment."""
    return min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1)


@compiled
def meet(x0: Any, y0: Any, x1: Any, y1: Any, x2: Any, y2: Any, x3: Any, y3: Any) -> Any:
    """Tell whether two segments have a place in common."""
    a = _side(x0, y0, x1, y1, x2, y2)
    b = _side(x0, y0, x1, y1, x3, y3)
    c = _side(x2, y2, x3, y3, x0, y0)
    d = _side(x2, y2, x3, y3, x1, y1)
    if a != b and c != d:
        return True
    return (
        (a == 0 and _within(x0, y0, x1, y1, x2, y2))
        or (b == 0 and _within(x0, y0, x1, y1, x3, y3))
        or (c == 0 and _within(x2, y2, x3, y3, x0, y0))
        or (d == 0 and _within(x2, y2, x3, y3, x1, y1))
    )


@compiled
def overlap(x0: Any, y0: Any, x1: Any, y1: Any, x2: Any, y2: Any, x3: Any, y3: Any) -> Any:
    """Tell whether two segments have more in common than one end point."""
    if not meet(x0, y0, x1, y1, x2, y2, x3, y3):
        return False
    for turned in range(4):
        # The end that may be common comes first.
        ax, ay, bx, by = (x0, y0, x1, y1) if turned < 2 else (x1, y1, x0, y0)
        cx, cy, dx, dy = (x2, y2, x3, y3) if turned % 2 == 0 else (x3, y3, x2, y2)
        if ax == cx and ay == cy:
            straight = _side(ax, ay, bx, by, dx, dy) == 0
            return straight and (bx - ax) * (dx - ax) + (by - ay) * (dy - ay) > 0
    return True


@compiled
def encloses(ring: Any, x: Any, y: Any) -> Any:
    """Tell whether a place lies inside a ring, shape (vertices, 2); on its border either may be said."""
    odd = False
    for i in range(len(ring)):
        x0, y0, x1, y1 = ring[i - 1, 0], ring[i - 1, 1], ring[i, 0], ring[i, 1]
        if (y0 > y) != (y1 > y):
            side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
            if (side > 0) == (y1 > y0):
                odd = not odd
    return odd


@compiled
def in_triangle(a: Any, b: Any, c: Any, x: Any, y: Any) -> Any:
    """Tell whether a place that is not ``a`` lies in or on a triangle."""
    if x == a[0] and y == a[1]:
        return False
    s = _side(a[0], a[1], b[0], b[1], x, y)
    t = _side(b[0], b[1], c[0], c[1], x, y)
    u = _side(c[0], c[1], a[0], a[1], x, y)
    return (
        min(s, t, u) * max(s, t, u) >= 0
        and min(a[0], b[0], c[0]) <= x <= max(a[0], b[0], c[0])
        and min(a[1], b[1], c[1]) <= y <= max(a[1], b[1], c[1])
    )
