"""The likely outlines of buildings: right angles, as long as they cover what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.vector.arcs import UNITS
from geoseg.vector.compiled import compiled
from geoseg.vector.right_angles import fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Rings = tuple[NDArray[np.float64], NDArray[np.int64]]

_LEAST_IOU = 0.8
_STRAY = 8.0  # pixels; an outline that leaves the old one's box by more would be somewhere else


def likely_rings(
    points: NDArray[np.int32],
    first: NDArray[np.int64],
    face: NDArray[np.int64],
    cut: NDArray[np.bool_],
    prices: Sequence[float],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the likely rings of faces, in units, and the index of each ring's first vertex; none where there is none.

    A face gets new rings where old and new ones cover four fifths of both together; a courtyard's walls follow the
    directions of the building's.

    Args:
        points: shape (n, 2), vertices of the rings in units, rows counted downwards; not closed.
        first: shape (rings + 1,), index of each ring's first vertex.
        face: shape (rings,), face of each ring, counted from 0.
        cut: shape (rings,), whether the edge from a ring's last vertex to its first is where the scene ends.
        prices: of a wall, in cubic pixels; the next one is tried where walls were too few to cover the face.
    """
    rank = np.lexsort((_doubled_areas(points, first) >= 0, face))  # exteriors, which turn the other way, come first
    of_face = np.searchsorted(face[rank], np.arange(int(face.max()) + 2))
    old = _picked(points / UNITS, first, rank)
    before = _polygons(old, of_face)
    found: Rings = np.empty((0, 2)), np.zeros_like(first)
    wanting = np.ones(len(before), np.bool_)
    for price in prices:
        new = _fitted_rings(old[0], old[1], of_face, cut[rank], wanting, price)
        proper = _proper(before, _polygons(_either(old, new, np.diff(new[1]) > 0), of_face))
        proper &= wanting & (np.diff(new[1])[of_face[:-1]] > 0)
        found = _either(found, new, np.repeat(proper, np.diff(of_face)))
        wanting &= ~proper
    xy, begin = _picked(*found, np.argsort(rank))
    rounded: tuple[NDArray[np.int32], NDArray[np.int64]] = _rounded(xy, begin, UNITS)
    return rounded


def _proper(before: NDArray[np.object_], after: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Tell which new polygons are valid and lie where the old ones do, shape (faces,)."""
    proper: NDArray[np.bool_] = shapely.is_valid(after)
    common = np.zeros(len(before))
    common[proper] = shapely.area(shapely.intersection(before[proper], after[proper]))
    boxes = shapely.bounds(before), shapely.bounds(after)
    near = (np.abs(boxes[0] - boxes[1]) <= _STRAY).all(axis=1)
    covers = common >= _LEAST_IOU * (shapely.area(before) + shapely.area(after) - common)
    return np.asarray(proper & near & covers)


def _polygons(rings: Rings, of_face: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the polygons of faces from their rings, shape (faces,)."""
    xy, first = rings
    closed = np.insert(xy, first[1:], xy[first[:-1]], axis=0)
    offsets = first + np.arange(len(first))
    polygons: NDArray[np.object_] = shapely.from_ragged_array(shapely.GeometryType.POLYGON, closed, (offsets, of_face))
    return polygons


def _doubled_areas(points: NDArray[np.int32], first: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return twice the area of each ring, with a sign, shape (rings,)."""
    rings = points - np.repeat(points[first[:-1]], np.diff(first), axis=0).astype(np.float64)
    after = np.roll(rings, -1, axis=0)
    after[first[1:] - 1] = 0.0
    areas: NDArray[np.float64] = np.add.reduceat(rings[:, 0] * after[:, 1] - after[:, 0] * rings[:, 1], first[:-1])
    return areas


def _either(one: Rings, other: Rings, use_other: NDArray[np.bool_]) -> Rings:
    """Return each ring from one of two sets."""
    xy = np.concatenate((one[0], other[0]))
    first = np.concatenate((one[1], other[1][1:] + len(one[0])))
    number = np.arange(len(use_other))
    picked: Rings = _picked(xy, first, np.where(use_other, number + len(use_other), number))
    return picked


@compiled
def _picked(xy: Any, first: Any, order: Any) -> Any:
    """Return some rings in some order."""
    begin = np.zeros(order.size + 1, np.int64)
    for i in range(order.size):
        begin[i + 1] = begin[i] + first[order[i] + 1] - first[order[i]]
    result = np.empty((begin[-1], 2), np.float64)
    for i in range(order.size):
        result[begin[i] : begin[i + 1]] = xy[first[order[i]] : first[order[i] + 1]]
    return result, begin


@compiled
def _fitted_rings(xy: Any, first: Any, of_face: Any, cut: Any, wanting: Any, price: Any) -> Any:
    """Return likely rings for the faces that want some, and the index of each ring's first vertex."""
    rings = [xy[:0] for _ in range(0)]
    begin = np.zeros(first.size, np.int64)
    for f in range(wanting.size):
        main = np.nan
        for ring in range(of_face[f], of_face[f + 1]):
            likely = xy[:0].copy()
            if wanting[f] and (ring == of_face[f] or not np.isnan(main)):
                likely, direction = fitted(xy[first[ring] : first[ring + 1]], main, price, cut[ring])
                if ring == of_face[f] and len(likely) > 0:
                    main = direction
            rings.append(likely)
            begin[ring + 1] = begin[ring] + len(likely)
    result = np.empty((begin[-1], 2), np.float64)
    for ring in range(len(rings)):
        result[begin[ring] : begin[ring + 1]] = rings[ring]
    return result, begin


@compiled
def _rounded(xy: Any, first: Any, units: Any) -> Any:
    """Return rings in whole units, without vertices that have become the same."""
    result = np.empty((len(xy), 2), np.int32)
    begin = np.zeros(first.size, np.int64)
    n = 0
    for ring in range(first.size - 1):
        for i in range(first[ring], first[ring + 1]):
            x, y = np.int32(np.round(xy[i, 0] * units)), np.int32(np.round(xy[i, 1] * units))
            if n == begin[ring] or x != result[n - 1, 0] or y != result[n - 1, 1]:
                result[n, 0], result[n, 1] = x, y
                n += 1
        last = n - 1
        if (
            last > begin[ring]
            and result[last, 0] == result[begin[ring], 0]
            and result[last, 1] == result[begin[ring], 1]
        ):
            n = last
        begin[ring + 1] = n
    return result[:n].copy(), begin
