"""Whether the map stays whole when a ring takes another shape, and the arcs that end at it follow."""

from __future__ import annotations

from typing import Any

from geoseg.vector.compiled import compiled
from geoseg.vector.nearby import block, encloses, in_triangle, overlap, touched


@compiled
def tears_nothing(index: Any, xy: Any, first: Any, old: Any, new: Any, others: Any, before: Any) -> Any:
    """Tell whether a ring may take a new shape, the ends of other arcs being moved already."""
    return (
        _is_simple(new)
        and not _ring_touches(index, new)
        and _others_follow(index, xy, first, old, new, others, before)
        and not _passes_over(index, old, new)
    )


@compiled
def end_of(first: Any, code: Any) -> Any:
    """Return the vertex at an end of an arc, and the one next to it."""
    if code & 1:
        return first[code // 2 + 1] - 1, first[code // 2 + 1] - 2
    return first[code // 2], first[code // 2] + 1


@compiled
def _is_simple(ring: Any) -> Any:
    """Tell whether the pieces of a ring have nothing in common but their ends."""
    count = len(ring)
    for i in range(count):
        p, q = ring[i - 1], ring[i]
        if p[0] == q[0] and p[1] == q[1]:
            return False
        for k in range(i):
            if overlap(p[0], p[1], q[0], q[1], ring[k - 1, 0], ring[k - 1, 1], ring[k, 0], ring[k, 1]):
                return False
    for i in range(count):
        for k in range(i):
            if ring[i, 0] == ring[k, 0] and ring[i, 1] == ring[k, 1]:
                return False
    return True


@compiled
def _ring_touches(index: Any, ring: Any) -> Any:
    """Tell whether a ring meets any piece."""
    touches = False
    for i in range(len(ring)):
        touches = touches or touched(index, ring[i - 1, 0], ring[i - 1, 1], ring[i, 0], ring[i, 1], False)
    return touches


@compiled
def _others_follow(index: Any, xy: Any, first: Any, old: Any, new: Any, others: Any, before: Any) -> Any:
    """Tell whether the moved end pieces of other arcs cross nothing, sweep over nothing, and stay on their side."""
    for i in range(len(others)):
        end, beside = end_of(first, others[i, 0])
        t, p = xy[end], xy[beside]
        if (t[0] == p[0] and t[1] == p[1]) or touched(index, t[0], t[1], p[0], p[1], True):
            return False
        for k in range(len(new)):
            if overlap(t[0], t[1], p[0], p[1], new[k - 1, 0], new[k - 1, 1], new[k, 0], new[k, 1]):
                return False
        single = first[others[i, 0] // 2 + 1] - first[others[i, 0] // 2] == 2
        for k in range(i):
            if single and others[k, 0] // 2 == others[i, 0] // 2:
                continue  # the same piece from its other end
            other_end, other_beside = end_of(first, others[k, 0])
            u, v = xy[other_end], xy[other_beside]
            if overlap(t[0], t[1], p[0], p[1], u[0], u[1], v[0], v[1]):
                return False
        was = still = p  # where the other end was at first, and while this one moves
        for k in range(len(others)):
            if k != i and end_of(first, others[k, 0])[0] == beside:
                was = before[k]
                still = before[k] if k > i else p
        # A place on the piece, halfway, where it does not begin or end.
        if encloses(new, (t[0] + p[0]) / 2, (t[1] + p[1]) / 2) != encloses(
            old, (before[i, 0] + was[0]) / 2, (before[i, 1] + was[1]) / 2
        ):
            return False
        if sweeps(index, still, t, before[i]):
            return False
    return True


@compiled
def sweeps(index: Any, a: Any, b: Any, c: Any) -> Any:
    """Tell whether an end of a piece lies in a triangle, its first corner aside."""
    pieces, counts, entries, cells, place, _, _ = index
    left, right, top, bottom = block(
        place, min(a[0], b[0], c[0]), max(a[0], b[0], c[0]), min(a[1], b[1], c[1]), max(a[1], b[1], c[1])
    )
    for row in range(top, bottom + 1):
        for col in range(left, right + 1):
            entry = cells[row * place[2] + col]
            while entry >= 0:
                piece, entry = entries[entry]
                if not counts[piece]:
                    continue
                x0, y0, x1, y1 = pieces[piece]
                if in_triangle(a, b, c, x0, y0) or in_triangle(a, b, c, x1, y1):
                    return True
    return False


@compiled
def _passes_over(index: Any, old: Any, new: Any) -> Any:
    """Tell whether something lies in one of two rings only."""
    pieces, counts, entries, cells, place, _, _ = index
    left, right, top, bottom = block(
        place,
        min(old[:, 0].min(), new[:, 0].min()),
        max(old[:, 0].max(), new[:, 0].max()),
        min(old[:, 1].min(), new[:, 1].min()),
        max(old[:, 1].max(), new[:, 1].max()),
    )
    for row in range(top, bottom + 1):
        for col in range(left, right + 1):
            entry = cells[row * place[2] + col]
            while entry >= 0:
                piece, entry = entries[entry]
                if not counts[piece]:
                    continue
                x0, y0, x1, y1 = pieces[piece]
                if encloses(old, x0, y0) != encloses(new, x0, y0) or encloses(old, x1, y1) != encloses(new, x1, y1):
                    return True
    return False
