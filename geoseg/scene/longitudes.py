"""Longitudes across the antimeridian, where 180° and -180° are one place and numbers leap by a whole turn.

Geometries are moved whole, by turns of the world, and only onto grids that go on past it.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.scene.georeference import bounds_of

if TYPE_CHECKING:
    import pyproj
    from numpy.typing import NDArray

    from geoseg.vocabulary import Grid

_LEAP = 1 / 360
"""Share of a turn that a polygon may span each way, if it is taken for one that was drawn across the antimeridian where
its points say that it goes round the world."""
_THIN = 50  # times as high as wide, or as wide as high, it may be
_NEAR = 20 / 360
"""Share of a turn that a map on both sides may span, if it is taken for one of that place."""


def full_turn(crs: pyproj.CRS) -> float:
    """Return how many units of x lead once round the world: 360 in degrees, 0 in a CRS that is not geographic."""
    if not crs.is_geographic:
        return 0.0
    return 2 * math.pi / (crs.axis_info[0].unit_conversion_factor or math.radians(1))


def past_the_end(grid: Grid, crs: pyproj.CRS) -> float:
    """Return the full turn of the CRS of a grid of less than half the world that goes on past 180°; 0 for any other."""
    turn = full_turn(crs)
    left, _, right, _ = bounds_of(grid.transform, grid.height, grid.width)
    return turn if right - left < turn / 2 and (left < -turn / 2 or right > turn / 2) else 0.0


def cut_at_the_end(geometry: NDArray[np.object_], turn: float) -> NDArray[np.object_]:
    """Return geometries with polygons that were drawn across the antimeridian cut there, as RFC 7946 has them.

    Such a one spans the whole turn, but would be small, and no sliver, if its western points lay a turn to the east.

    Args:
        geometry: shape (n,), shapely geometries or None.
        turn: of their CRS, see :func:`full_turn`; 0 leaves everything as it is.
    """
    mended = geometry.copy()
    for i in _round_the_world(geometry, turn):
        parts = shapely.get_parts(shapely.get_parts(geometry[i]))  # a collection may hold multipolygons
        cut = {number: _cut(parts[number], turn) for number in _round_the_world(parts, turn)}
        if any(one is not parts[number] for number, one in cut.items()):
            # Parts may be invalid, and are repaired later.
            mended[i] = shapely.GeometryCollection([cut.get(number, part) for number, part in enumerate(parts)])
    return mended


def _round_the_world(geometry: NDArray[np.object_], turn: float) -> list[int]:
    """Return which geometries span (nearly) a whole turn."""
    bounds = shapely.bounds(geometry)  # NaN where there is none
    with np.errstate(invalid="ignore"):
        spans = bounds[:, 2] - bounds[:, 0]
    return np.flatnonzero(np.isfinite(spans) & (spans > (1 - _LEAP) * turn)).tolist() if turn else []


def _cut(polygon: shapely.Geometry, turn: float) -> shapely.Geometry:
    """Return both parts of a polygon that was drawn across the antimeridian; any other geometry itself."""
    left, bottom, right, top = polygon.bounds
    if polygon.geom_type != "Polygon" or not np.isfinite(shapely.get_coordinates(polygon)).all():
        return polygon
    made = shapely.transform(polygon, lambda x, y: (x + turn * (x < (left + right) / 2), y), interleaved=False)
    first, _, last, _ = made.bounds
    shape = sorted((last - first, top - bottom))
    if shape[1] >= _LEAP * turn or shape[1] > _THIN * shape[0]:
        return polygon
    whole, end = shapely.make_valid(made), turn / 2
    west = shapely.intersection(whole, shapely.box(first, bottom, end, top))
    east = shapely.intersection(whole, shapely.box(end, bottom, last, top))
    return shapely.union_all([west, shapely.transform(east, lambda x, y: (x - turn, y), interleaved=False)])


def side_by_side(geometry: NDArray[np.object_], turn: float) -> NDArray[np.object_]:
    """Return geometries of a map of one place on both sides of the antimeridian in one stretch of x.

    Those west of its widest gap are moved a turn to the east. Nothing is moved unless that leaves a small map.
    """
    bounds = shapely.bounds(geometry)
    left, right = bounds[:, 0], bounds[:, 2]
    here = np.isfinite(left) & np.isfinite(right)
    if not turn or not here.any() or right[here].max() - left[here].min() <= turn / 2:
        return geometry
    order = np.flatnonzero(here)[np.argsort(left[here], kind="stable")]
    reached = np.maximum.accumulate(right[order])
    gaps = left[order][1:] - reached[:-1]
    if not len(gaps):
        return geometry
    cut = int(np.argmax(gaps)) + 1
    if reached[cut - 1] + turn - left[order[cut:]].min() > _NEAR * turn:
        return geometry
    moved = geometry.copy()
    west = order[:cut]
    moved[west] = shapely.transform(geometry[west], lambda x, y: (x + turn, y), interleaved=False)
    return moved


def copies(
    geometry: NDArray[np.object_], turn: float, left: float, right: float
) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Return geometries as they are, and again wherever they lie a turn away within a range of x.

    Args:
        geometry: shape (n,), shapely geometries or None.
        turn: of their CRS; 0 returns nothing twice.
        left: where the range begins.
        right: where it ends.

    Returns:
        The geometries, shape (m,), and which one of those given each is, in ascending order.
    """
    number = np.arange(len(geometry))
    if not turn:
        return geometry, number
    bounds = shapely.bounds(geometry)
    made, of = [geometry], [number]
    for by in (-turn, turn):
        again = np.flatnonzero((bounds[:, 0] + by < right) & (bounds[:, 2] + by > left))
        if len(again):
            made.append(shapely.transform(geometry[again], lambda x, y, by=by: (x + by, y), interleaved=False))
            of.append(number[again])
    owner = np.concatenate(of)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(made)[order], owner[order]


def projected_whole(geometry: NDArray[np.object_], turn: float) -> NDArray[np.object_]:
    """Return geometries without the leaps that a projection into degrees makes at the antimeridian.

    Their rings, of which no side may be longer than half a turn, are followed point by point. What goes round a pole
    stays as it is.
    """
    left, _, right, _ = shapely.bounds(geometry).T
    with np.errstate(invalid="ignore"):
        wide = np.flatnonzero(right - left > turn / 2)
    mended = geometry.copy()
    for i in wide.tolist():

        def followed(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            # Whole turns, so that a ring ends where it began, to the last bit.
            turns = np.rint((np.unwrap(xy[:, 0], period=turn) - xy[:, 0]) / turn)
            return xy + np.stack([turns * turn, np.zeros(len(xy))], axis=1)

        if np.isfinite(shapely.get_coordinates(geometry[i])).all():
            with contextlib.suppress(shapely.errors.GEOSException):  # round a pole, it does not end where it began
                made = shapely.transform(geometry[i], followed)
                mended[i] = made if made.is_valid else geometry[i]
    return mended
