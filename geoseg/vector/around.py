"""Walk around faces: which arcs make up their rings, and in which order.

A ring keeps its face on the left. Where a face meets itself at a vertex, the ring turns right, so it never touches
itself: every face has one exterior, and holes touch it in points at most, as polygons may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.arcs import LOOP
from geoseg.vector.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vector.arcs import Arcs


@dataclass(frozen=True, slots=True)
class Around:
    """The rings of some faces as half arcs: arc 2 n walked forwards is n · 2, walked backwards n · 2 + 1."""

    halves: NDArray[np.int64]
    """Shape (half arcs,), ring by ring, in the order of the walk."""
    rings: NDArray[np.int64]
    """Shape (rings + 1,), index of each ring's first half arc, and at the end the number of half arcs."""
    face: NDArray[np.int64]
    """Shape (rings,), the ring's face, counted among the chosen ones."""


def walk_around(arcs: Arcs, chosen: NDArray[np.bool_]) -> Around:
    """Return the rings of the chosen faces.

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
    order = np.lexsort((start, face))
    following = _following(order, face, start, end, leaves, arrives)
    sequence, rings = _walk(following)
    return Around(halves[sequence], rings, face[sequence[rings[:-1]]])


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
