"""Polygons drawn again from vertices that have moved, come or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray


def redrawn(
    polygons: NDArray[np.object_],
    changed: NDArray[np.bool_],
    xy: NDArray[np.float64],
    ring: NDArray[np.intp],
    polygon: NDArray[np.int64],
) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Return polygons, some of them drawn again and made valid, which may take one apart or leave nothing of it.

    Args:
        polygons: shape (n,), as they were.
        changed: shape (n,), whether to draw one again.
        xy: shape (vertices, 2), vertices of all of them, ring after ring, none repeated at the end.
        ring: shape (vertices,), the ring of every vertex.
        polygon: shape (rings,), the polygon of every ring, exteriors before their holes.

    Returns:
        Polygons of shape (m,), and of which one each is made, in the same order.
    """
    index = np.flatnonzero(changed)
    if not len(index):
        return polygons, np.arange(len(polygons))
    wanted = changed[polygon[ring]]
    drawn = _drawn(*_without_repetitions(xy[wanted], ring[wanted]), polygon)
    whole = polygons.copy()
    whole[index] = drawn[index]
    wrong = index[~shapely.is_valid(whole[index])]
    wrong = wrong[~shapely.is_missing(whole[wrong])]
    whole[wrong] = shapely.make_valid(whole[wrong])
    parts, of = shapely.get_parts(whole, return_index=True)
    inner, within = shapely.get_parts(parts, return_index=True)  # a collection may hold multipolygons
    areal = (shapely.get_type_id(inner) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(inner)
    return inner[areal], of[within[areal]]


def _without_repetitions(
    xy: NDArray[np.float64], ring: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Leave out vertices that are where the next one of their ring is."""
    after = _following(ring)
    kept = (xy != xy[after]).any(axis=1)
    return xy[kept], ring[kept]


def _following(ring: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the index of the next vertex of the same ring, for every vertex, given their rings in order."""
    after = np.arange(1, len(ring) + 1)
    begins = np.flatnonzero(np.diff(ring, prepend=-1))
    after[np.append(begins[1:], len(ring)) - 1] = begins
    return after


def _drawn(xy: NDArray[np.float64], ring: NDArray[np.intp], polygon: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return a polygon for each number up to the last, None where its exterior has fewer than three vertices."""
    drawn = np.full(polygon.max() + 1, None, object)
    sizes = np.bincount(ring, minlength=len(polygon))
    usable = sizes >= 3
    exterior = np.diff(polygon, prepend=-1) != 0
    kept = usable[ring]
    rings, number = np.unique(ring[kept], return_inverse=True)
    if not len(rings):
        return drawn
    shapes = shapely.linearrings(xy[kept], indices=number)
    owner = polygon[rings]
    shells = np.zeros(len(drawn), bool)
    shells[owner[exterior[rings]]] = True
    complete = shells[owner]
    numbers, into = np.unique(owner[complete], return_inverse=True)
    if len(numbers):
        drawn[numbers] = shapely.polygons(shapes[complete], indices=into)
    return drawn
