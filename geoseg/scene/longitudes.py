"""Longitudes across the antimeridian, where 180° and -180° are one place and numbers leap by a whole turn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    import pyproj
    from numpy.typing import NDArray


def full_turn(crs: pyproj.CRS) -> float:
    """Return how many units of x lead once round the world: 360 in degrees, 0 in a CRS that is not geographic."""
    if not crs.is_geographic:
        return 0.0
    return 2 * math.pi / (crs.axis_info[0].unit_conversion_factor or math.radians(1))


def nearest(x: NDArray[np.float64], middle: float, turn: float) -> NDArray[np.float64]:
    """Return longitudes a whole number of turns away, within half a turn of a middle; as they are where turn is 0."""
    if not turn:
        return x
    with np.errstate(invalid="ignore"):  # what has no place has none there either
        moved: NDArray[np.float64] = x + turn * np.rint((middle - x) / turn)
    return moved


def continuous(geometry: NDArray[np.object_], crs: pyproj.CRS) -> NDArray[np.object_]:
    """Return geometries that lie on both sides of the antimeridian with longitudes that go on past it.

    Those with longitudes below 0 are moved by a turn; of one that was drawn across it, and seems to go the long way
    round the world, such points are. A map that spans half the world all the same stays as it is.

    Args:
        geometry: shape (n,), shapely geometries or None, of one map.
        crs: theirs.
    """
    turn = full_turn(crs)
    bounds = shapely.bounds(geometry)  # NaN where there is none
    left, right = bounds[:, 0], bounds[:, 2]
    if not turn or not np.isfinite(left).any() or np.nanmax(right) - np.nanmin(left) <= turn / 2:
        return geometry
    long_way = right - left > turn / 2
    moved = geometry.copy()
    moved[long_way] = shapely.transform(
        geometry[long_way], lambda xy: xy + np.column_stack([np.where(xy[:, 0] < 0, turn, 0), np.zeros(len(xy))])
    )
    west = ~long_way & (left + right < 0)
    moved[west] = shapely.transform(geometry[west], lambda xy: xy + np.array([turn, 0]))
    bounds = shapely.bounds(moved)
    narrow = np.nanmax(bounds[:, 2]) - np.nanmin(bounds[:, 0]) < turn / 2
    flat = (bounds[long_way, 0] == bounds[long_way, 2]).any()  # the world's own frame
    return moved if narrow and not flat else geometry
