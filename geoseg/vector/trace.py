"""Trace the regions of a class raster: every pixel lies in exactly one polygon."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio.features
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_AT_ONCE = 20_000  # polygons held as Python numbers before they become arrays


def trace(classes: NDArray[np.uint8]) -> tuple[NDArray[np.object_], NDArray[np.uint8]]:
    """Return all faces of a class raster, nodata included, as polygons in pixel coordinates.

    Regions are 4-connected: at 8 their polygons would touch themselves and be invalid
    (https://github.com/OSGeo/gdal/issues/7369).

    Args:
        classes: shape (height, width).

    Returns:
        Polygons of shape (n,) with x = column and y = row, whole numbers, exteriors counter-clockwise when y
        is drawn upwards, and a vertex at every pixel corner they pass; and their values of shape (n,).
    """
    found = rasterio.features.shapes(classes, connectivity=4)
    faces, values = [], []
    while batch := list(islice(found, _AT_ONCE)):
        faces.append(_polygons(shape["coordinates"] for shape, _ in batch))
        values.append(np.array([value for _, value in batch], np.uint8))
    if not faces:
        return np.empty(0, np.object_), np.empty(0, np.uint8)
    # With a vertex at every corner, neighbours share all vertices of their common border. Long edges are cut
    # with rounding errors, which differ from one neighbour to the other.
    corners = shapely.segmentize(shapely.orient_polygons(np.concatenate(faces)), 1.0)
    return shapely.transform(corners, np.rint), np.concatenate(values)


def _polygons(polygons: Iterable[Any]) -> NDArray[np.object_]:
    """Return shapely polygons from lists of rings of coordinate pairs."""
    per_polygon = list(polygons)
    rings = list(chain.from_iterable(per_polygon))
    ring_ends = np.cumsum([0, *map(len, rings)])
    polygon_ends = np.cumsum([0, *map(len, per_polygon)])
    numbers = chain.from_iterable(chain.from_iterable(rings))
    xy = np.fromiter(numbers, np.float64, count=2 * int(ring_ends[-1])).reshape(-1, 2)
    result: NDArray[np.object_] = shapely.from_ragged_array(shapely.GeometryType.POLYGON, xy, (ring_ends, polygon_ends))
    return result
