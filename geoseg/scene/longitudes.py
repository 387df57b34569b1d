"""Longitudes across the antimeridian, where 180° and -180° are one place and numbers leap by a whole turn.

Geometries are moved whole, by turns of the world: a map of the world, and what spans most of it, stays as it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    import pyproj
    from numpy.typing import NDArray

_TURNS = 2  # that longitudes may be off by
_LEAP = 5.0 / 360
"""Share of a turn that a polygon may span each way, if it is taken for one that was drawn across the antimeridian where
its points say that it goes round the world."""


def full_turn(crs: pyproj.CRS) -> float:
    """Return how many units of x lead once round the world: 360 in degrees, 0 in a CRS that is not geographic."""
    if not crs.is_geographic:
        return 0.0
    return 2 * math.pi / (crs.axis_info[0].unit_conversion_factor or math.radians(1))


def whole(geometry: NDArray[np.object_], turn: float) -> NDArray[np.object_]:
    """Return geometries whose own points do not leap.

    One that spans (nearly) the whole turn but would be small if its western points lay a turn to the east was drawn
    across the antimeridian; as a ring round the world it would be hundreds of times as long as high.

    Args:
        geometry: shape (n,), shapely geometries or None.
        turn: of their CRS, see :func:`full_turn`; 0 leaves everything as it is.
    """
    if not turn:
        return geometry
    left, bottom, right, top = shapely.bounds(geometry).T  # NaN where there is none
    wide = np.flatnonzero((right - left > (1 - _LEAP) * turn) & (top - bottom < _LEAP * turn))
    if not len(wide):
        return geometry
    mended = geometry.copy()
    for i in wide.tolist():
        middle = (left[i] + right[i]) / 2
        made = shapely.transform(
            geometry[i], lambda x, y, middle=middle: (x + turn * (x < middle), y), interleaved=False
        )
        low, _, high, _ = made.bounds
        if 0 < high - low < _LEAP * turn:
            mended[i] = made
    return mended


def together(geometry: NDArray[np.object_], turn: float) -> NDArray[np.object_]:
    """Return geometries of one map side by side: those west of its widest gap are moved a turn to the east.

    Nothing is moved where that leaves a map that spans half the world, or is no narrower.
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
    cut = int(np.argmax(gaps))
    east = order[cut + 1 :]
    if reached[cut] + turn - left[east].min() > turn / 2:
        return geometry
    moved = geometry.copy()
    moved[order[: cut + 1]] = shapely.transform(
        geometry[order[: cut + 1]], lambda x, y: (x + turn, y), interleaved=False
    )
    return moved


def copies(
    geometry: NDArray[np.object_], turn: float, left: float, right: float
) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Return geometries as they are, and again wherever they lie whole turns away within a range of x.

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
    for turns in (*range(-_TURNS, 0), *range(1, _TURNS + 1)):
        # Comparisons with what has no bounds (NaN) or no end (infinite) are false, or move nothing.
        again = np.flatnonzero((bounds[:, 0] + turns * turn < right) & (bounds[:, 2] + turns * turn > left))
        if len(again):
            made.append(
                shapely.transform(geometry[again], lambda x, y, by=turns * turn: (x + by, y), interleaved=False)
            )
            of.append(number[again])
    owner = np.concatenate(of)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(made)[order], owner[order]


def unbroken(x: NDArray[np.float64], turn: float) -> NDArray[np.float64]:
    """Return longitudes along a line so that none is more than half a turn from the one before; infinite ones stay."""
    known = np.isfinite(x)
    steady = x.copy()
    if turn and known.any():
        # Whole turns, so that a ring ends where it began, to the last bit.
        steady[known] += turn * np.rint((np.unwrap(x[known], period=turn) - x[known]) / turn)
    return steady


def made_whole(geometry: NDArray[np.object_], turn: float) -> NDArray[np.object_]:
    """Return projected geometries without the leaps that a projection into degrees makes at the antimeridian.

    Rings are followed point by point, and holes lie where their shells lie; what goes round a pole stays as it is.
    """
    if not turn:
        return geometry
    left, _, right, _ = shapely.bounds(geometry).T
    with np.errstate(invalid="ignore"):
        wide = np.flatnonzero(right - left > turn / 2)
    if not len(wide):
        return geometry
    mended = geometry.copy()
    for i in wide.tolist():
        first = shapely.get_coordinates(geometry[i])[0, 0]

        def followed(xy: NDArray[np.float64], first: float = first) -> NDArray[np.float64]:
            x = unbroken(np.concatenate([[first], xy[:, 0]]), turn)[1:]
            return np.stack([x, xy[:, 1]], axis=1)

        made = shapely.transform(geometry[i], followed)
        if made.is_valid or not geometry[i].is_valid:
            mended[i] = made
    return mended
