"""Square buildings: their outlines get straight walls at right angles, and what borders on them follows.

An outline stays as it was where old and squared one have less than four fifths of both in common, or the map would
tear, or a neighbour lose half its area; where it meets nodata, a cut along cells, or more than one side of the scene's
frame; and where another squared building holds a vertex of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.arcs import LOOP, UNITS, Arcs, chosen, concatenated
from geoseg.vector.around import walk_around
from geoseg.vector.compiled import compiled
from geoseg.vector.cracks import OUTSIDE
from geoseg.vector.likely import likely_rings
from geoseg.vector.refit import refitted
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoseg.vector.around import Around

REACH = 9
"""Pixels; no outline moves farther than this out of its box."""


_PRICES = ((6.0, 3.0, 1.5, 0.75), (1.5, 0.5))
"""Of a wall, in cubic pixels: first, and where that would tear the map; the less, the nearer to what was seen."""


_KEPT = 0.5
"""Share of its area that a neighbour keeps."""


def squared(arcs: Arcs, values: NDArray[np.uint8], wanted: NDArray[np.bool_], grows: NDArray[np.bool_]) -> Arcs:
    """Return arcs in which some faces have right angles, as far as that tears nothing.

    Args:
        arcs: arcs, among them all those of the wanted faces and of their neighbours.
        values: shape (faces,), class values.
        wanted: shape (faces,), the faces to square.
        grows: shape (faces,), faces that are not whole yet.
    """
    wanted = wanted & ~_pinned(arcs, values)
    frozen = _stiff_nodes(arcs, values)
    least = np.append(np.where(grows | (values == NODATA), -np.inf, _KEPT * _areas(arcs, len(values))[:-1]), -np.inf)
    for prices in _PRICES:
        if wanted.any():
            arcs, wanted, frozen = _attempt(arcs, wanted, frozen, least, prices)
    return arcs


def _attempt(
    arcs: Arcs,
    wanted: NDArray[np.bool_],
    frozen: NDArray[np.int64],
    least: NDArray[np.float64],
    prices: Sequence[float],
) -> tuple[Arcs, NDArray[np.bool_], NDArray[np.int64]]:
    """Square what can be squared; return the arcs, the faces that would have torn the map, and nodes that must stay."""
    around = walk_around(arcs, wanted)
    halves, free = _from_the_frame(arcs, around)
    points, begin = _points(arcs.xy, arcs.first, halves, around.rings, free)
    shapes, shape_first = likely_rings(points, begin, around.face, free > 0, prices)
    low, high = _reached(arcs, halves // 2, points)
    near = _near(arcs, low, high)
    known, nodes = _nodes(arcs)
    stiff = np.isin(known, frozen)
    xy, stays, drawn, chains, taken = refitted(
        (arcs.xy, arcs.first, near),
        (*nodes, stiff),
        (halves, around.rings, free),
        (shapes, shape_first),
        (arcs.left, arcs.right, _areas(arcs, len(wanted)), least),
        (*low, *high),
    )
    moved = Arcs(xy, arcs.first, *(getattr(arcs, name) for name in _COLUMNS))
    torn = np.zeros(len(wanted), np.bool_)
    torn[np.flatnonzero(wanted)[around.face[(np.diff(shape_first) > 0) & ~taken]]] = True
    return concatenated([chosen(moved, stays), _new_arcs(arcs, drawn, chains)]), torn, known[stiff]


_COLUMNS = ("left", "right", "start", "end", "leaves", "arrives", "start_anchored", "end_anchored")


def too_late(arcs: Arcs, ours: NDArray[np.bool_], grows: NDArray[np.bool_], line: int | None) -> NDArray[np.bool_]:
    """Tell which faces cannot be squared yet, shape (faces,), because the next belt may reach them or come near.

    Args:
        arcs: arcs, among them all of these faces.
        ours: shape (faces,), the faces to square.
        grows: shape (faces,), faces that the next belt may reach.
        line: row where the next belt begins; None where there is none.
    """
    if line is None or not len(arcs.left):
        return ours & grows
    lowest = np.zeros(len(ours) + 1, np.int64)  # the last one is that of OUTSIDE
    rows = np.maximum.reduceat(arcs.xy[:, 1], arcs.first[:-1])
    for side in (arcs.left, arcs.right):
        np.maximum.at(lowest, side, rows)
    return ours & (grows | (lowest[:-1] > (line - REACH) * UNITS))


def beside(arcs: Arcs, late: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which faces border on faces that will be squared later, shape (faces,): their borders are going to move."""
    waits = np.zeros(len(late), np.bool_)
    for side, other in ((arcs.left, arcs.right), (arcs.right, arcs.left)):
        waits[side[(side != OUTSIDE) & np.append(late, False)[other]]] = True
    return waits


def _from_the_frame(arcs: Arcs, around: Around) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Let rings at the scene's frame begin where they leave it.

    Returns:
        Half arcs, ring by ring; and for each ring at the frame the number of those that come before it, 0 for others.
    """
    halves, free = around.halves.copy(), np.zeros(len(around.face), np.int64)
    outer = arcs.on_frame[halves // 2]
    for ring in np.unique(np.searchsorted(around.rings, np.flatnonzero(outer), side="right") - 1):
        here = slice(around.rings[ring], around.rings[ring + 1])
        inner = ~outer[here]
        first = int(np.flatnonzero(inner & ~np.roll(inner, 1))[0])
        halves[here] = np.roll(halves[here], -first)
        free[ring] = inner.sum()
    return halves, free


def _at_one_side(arcs: Arcs, faces: int) -> NDArray[np.bool_]:
    """Tell which faces meet the scene's frame in one straight stretch or not at all, shape (faces,)."""
    outer = np.flatnonzero(arcs.on_frame)
    face = np.maximum(arcs.left[outer], arcs.right[outer])
    ends = np.stack((arcs.xy[arcs.first[outer]], arcs.xy[arcs.first[outer + 1] - 1]), axis=1).astype(np.int64)
    low, high = np.full((faces, 2), np.iinfo(np.int64).max // 4), np.full((faces, 2), np.iinfo(np.int64).min // 4)
    np.minimum.at(low, face, np.minimum.reduceat(arcs.xy, arcs.first[:-1])[outer])
    np.maximum.at(high, face, np.maximum.reduceat(arcs.xy, arcs.first[:-1])[outer])
    length = np.zeros(faces, np.int64)
    np.add.at(length, face, np.abs(ends[:, 1] - ends[:, 0]).sum(axis=1))
    extent = np.where(high >= low, high - low, 0)
    # As long as its box is in one direction, and in the other nothing: neither a corner of the frame nor two stretches.
    return np.asarray((extent.min(axis=1) == 0) & (extent.sum(axis=1) == length))


def _pinned(arcs: Arcs, values: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which faces have an outline that must not move, shape (faces,)."""
    pinned = ~_at_one_side(arcs, len(values))
    for side, other in ((arcs.left, arcs.right), (arcs.right, arcs.left)):
        inner = (side != OUTSIDE) & (other != OUTSIDE)
        beyond = np.append(values, NODATA)[other[inner]]
        pinned[side[inner][(beyond == NODATA) | (beyond == values[side[inner]])]] = True
    return pinned


def _stiff_nodes(arcs: Arcs, values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the nodes that must stay: those of nodata, of the frame, and of faces that have been written."""
    known = np.append(values, NODATA) != NODATA
    outer = ~(known[arcs.left] & known[arcs.right])
    return np.unique(np.concatenate((arcs.start[outer], arcs.end[outer])))


def _areas(arcs: Arcs, faces: int) -> NDArray[np.float64]:
    """Return twice the area of each face in square units, shape (faces + 1,); the last is that of the outside."""
    xy = arcs.xy.astype(np.float64)
    cross = xy[:-1, 0] * xy[1:, 1] - xy[1:, 0] * xy[:-1, 1]
    sums = np.concatenate(([0.0], np.cumsum(cross)))
    of_arc = sums[arcs.first[1:] - 1] - sums[arcs.first[:-1]]
    area = np.zeros(faces + 1)
    np.subtract.at(area, arcs.left, of_arc)
    np.add.at(area, arcs.right, of_arc)
    return area


def _reached(arcs: Arcs, ring_arcs: NDArray[np.int64], points: NDArray[np.int32]) -> tuple[Any, Any]:
    """Return the upper left and lower right corner of all that squaring may move: rings, and what ends at them."""
    nodes = np.unique(np.concatenate((arcs.start[ring_arcs], arcs.end[ring_arcs])))
    meets = np.flatnonzero(np.isin(arcs.start, nodes) | np.isin(arcs.end, nodes))
    first, last = arcs.first[meets], arcs.first[meets + 1] - 1
    pieces = arcs.xy[np.concatenate((first, first + 1, last - 1, last))]
    low, high = points.min(axis=0) - REACH * UNITS, points.max(axis=0) + REACH * UNITS
    return np.minimum(low, np.vstack((pieces, low)).min(axis=0)), np.maximum(
        high, np.vstack((pieces, high)).max(axis=0)
    )


def _near(arcs: Arcs, low: Any, high: Any) -> NDArray[np.bool_]:
    """Tell which arcs reach into a box, shape (arcs,)."""
    inside = np.ones(len(arcs.left), np.bool_)
    for axis in (0, 1):
        column = arcs.xy[:, axis]
        inside &= np.minimum.reduceat(column, arcs.first[:-1]) <= high[axis]
        inside &= np.maximum.reduceat(column, arcs.first[:-1]) >= low[axis]
    return inside


def _nodes(arcs: Arcs) -> tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]:
    """Return the nodes of arcs, shape (nodes,), and what `refitted` wants to know of them."""
    keys = np.stack((arcs.start, arcs.end), axis=1).ravel()
    anchored = np.stack((arcs.start_anchored, arcs.end_anchored), axis=1).ravel()
    real = np.flatnonzero(keys != LOOP)
    known, number = np.unique(keys[real], return_inverse=True)
    node_of = np.full(len(keys), -1, np.int64)
    node_of[real] = number
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange(len(known) + 1))
    anchor = np.zeros(len(known), np.bool_)
    anchor[number[anchored[real]]] = True
    return known, (node_of.reshape(-1, 2), first, real[order], anchor)


def _new_arcs(arcs: Arcs, drawn: NDArray[np.int32], chains: NDArray[np.int64]) -> Arcs:
    """Return the arcs of new outlines, as they run around their faces."""
    first = np.append(chains[:, 0], len(drawn))
    begins, ends = chains[:, 1], np.where(chains[:, 2] < 0, chains[:, 1], chains[:, 2])
    loop = chains[:, 2] < 0
    arc, back = begins // 2, begins & 1 == 1
    last, last_back = ends // 2, ends & 1 == 1
    return Arcs(
        drawn,
        first,
        left=np.where(back, arcs.right[arc], arcs.left[arc]),
        right=np.where(back, arcs.left[arc], arcs.right[arc]),
        start=np.where(loop, LOOP, np.where(back, arcs.end[arc], arcs.start[arc])),
        end=np.where(loop, LOOP, np.where(last_back, arcs.start[last], arcs.end[last])),
        leaves=np.where(back, (arcs.arrives[arc] + 2) % 4, arcs.leaves[arc]).astype(np.uint8),
        arrives=np.where(last_back, (arcs.leaves[last] + 2) % 4, arcs.arrives[last]).astype(np.uint8),
        start_anchored=np.zeros(len(chains), np.bool_),
        end_anchored=np.zeros(len(chains), np.bool_),
    )


@compiled
def _points(xy: Any, first: Any, halves: Any, rings: Any, free: Any) -> Any:
    """Return the vertices of rings, not closed, and the index of each ring's first, with their number at the end.

    Of half arcs along the frame there is only the vertex where the ring comes to it.
    """
    most = 0
    for half in halves:
        most += first[half // 2 + 1] - first[half // 2] - 1
    points = np.empty((most, 2), np.int32)
    begin = np.empty(rings.size, np.int64)
    n = 0
    for ring in range(rings.size - 1):
        begin[ring] = n
        for k in range(rings[ring], rings[ring + 1]):
            half = halves[k]
            a, b = first[half // 2], first[half // 2 + 1] - 1
            count = b - a
            if free[ring] > 0 and k - rings[ring] >= free[ring]:
                count = 1 if k - rings[ring] == free[ring] else 0
            for i in range(count):
                points[n] = xy[b - i] if half & 1 else xy[a + i]
                n += 1
    begin[rings.size - 1] = n
    return points[:n].copy(), begin
