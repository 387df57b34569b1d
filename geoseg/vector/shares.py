"""Whether neighbours keep enough of their area when a ring takes another shape."""

from __future__ import annotations

from typing import Any

from geoseg.vector.compiled import compiled
from geoseg.vector.tears import end_of


@compiled
def leaves_enough(faces: Any, xy: Any, first: Any, ring: Any, shape: Any, moved: Any) -> Any:
    """Tell whether no neighbour comes to less than its least area; if so, areas become what they are then.

    Args:
        faces: as in `geoseg.vector.refit.refitted`.
        xy: (vertices, 2), in which other arcs end on the new ring already.
        first: (arcs + 1,) as in `Arcs`.
        ring: its half arcs, and which of them begin at nodes.
        shape: the new ring, and where in it the nodes are.
        moved: ends of other arcs that have moved, and where they were.
    """
    left, right, area, least = faces
    walk, begins = ring
    new, positions = shape
    others, before = moved
    gains = [(right[0], 0.0)]
    for half in walk:
        a, b = first[half // 2], first[half // 2 + 1] - 1
        total = 0.0
        for i in range(a, b):
            total += _cross(xy[i], xy[i + 1])
        gains.append((_beyond(left, right, half), total if half & 1 else -total))
    if len(begins) == 0:
        for i in range(len(new)):
            gains.append((_beyond(left, right, walk[0]), _cross(new[i - 1], new[i])))
    for k in range(len(begins)):
        for i in range(positions[k], positions[k + 1]):
            gains.append((_beyond(left, right, walk[begins[k]]), _cross(new[i], new[(i + 1) % len(new)])))
    for i in range(len(others)):
        arc = others[i, 0] // 2
        end, beside = end_of(first, others[i, 0])
        was = xy[beside]
        twice = False
        for k in range(len(others)):
            if k != i and end_of(first, others[k, 0])[0] == beside:
                was = before[k]
                twice = k < i  # seen from its other end already
        if not twice:
            gain = _cross(xy[end], xy[beside]) - _cross(before[i], was)
            if others[i, 0] & 1:
                gain = -gain
            gains.append((left[arc], -gain))
            gains.append((right[arc], gain))
    for face, gain in gains:
        area[face] += gain
    enough = True
    for face, _ in gains:
        enough = enough and area[face] >= least[face]
    if not enough:
        for face, gain in gains:
            area[face] -= gain
    return enough


@compiled
def _beyond(left: Any, right: Any, half: Any) -> Any:
    """Return the face on the other side of a half arc."""
    return left[half // 2] if half & 1 else right[half // 2]


@compiled
def _cross(p: Any, q: Any) -> Any:
    """Return twice the area between the origin and a piece; rows are counted downwards."""
    return float(p[0]) * float(q[1]) - float(q[0]) * float(p[1])
