"""From a class raster in memory to finished polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.errors import InputError
from geoseg.vector.burn import sums_inside
from geoseg.vector.measure import Ruler, ground_pixel_area_m2
from geoseg.vector.sieve import least_pixels, sieve
from geoseg.vector.simplify import simplify
from geoseg.vector.trace import trace
from geoseg.vocabulary import NODATA, Polygons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from geoseg.vocabulary import Grid, Legend


def polygonize(
    classes: NDArray[np.uint8],
    confidence: NDArray[np.uint8] | None,
    *,
    grid: Grid,
    legend: Legend,
    min_area_m2: Mapping[int, float],
    simplify_px: float,
) -> Polygons:
    """Return the regions of a class raster as polygons that neither overlap nor leave gaps.

    Args:
        classes: shape (height, width), class values, 0 for nodata.
        confidence: shape (height, width), whole percents, 255 for nodata; or None.
        grid: where the pixels lie; rotated and south-up grids are allowed.
        legend: the classes there may be.
        min_area_m2: smallest region worth keeping by class value, in square metres; 0 keeps everything, else
            it is at least 4 pixels. Classes not named are kept whole.
        simplify_px: how much outlines are simplified, in pixels; 0 follows the pixels exactly.

    Returns:
        Polygons in the coordinates of the grid's CRS, exteriors counter-clockwise, ordered by class value,
        then from the top of the raster downwards. A polygon's confidence is the mean over those pixels of its
        region that had its class before small regions were merged.

    Raises:
        InputError: a value is not in the legend.
    """
    least = least_pixels(min_area_m2, ground_pixel_area_m2(grid))
    kept = sieve(classes, least)
    faces, values = trace(kept)
    unknown = set(np.unique(values).tolist()) - {NODATA, *(entry.value for entry in legend)}
    if unknown:
        raise InputError(f"class raster: the value {min(unknown)} is not in the legend")
    simple = simplify(faces, simplify_px, classes.shape)
    _, top, _, _ = shapely.bounds(faces).T if len(faces) else np.empty((4, 0))
    order = np.lexsort((top, values))
    order = order[values[order] != NODATA]
    certainty = _mean_confidence(faces[order], classes == kept, confidence)
    on_ground = _to_ground(simple[order], grid)
    area, perimeter = Ruler.of(grid).measure(on_ground)
    return Polygons(values[order], on_ground, area, perimeter, certainty)


def _to_ground(polygons: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Return polygons of pixel coordinates in ground coordinates, exteriors counter-clockwise."""
    a, b, c, d, e, f = grid.transform[:6]

    def place(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        col, row = xy.T
        return np.column_stack((a * col + b * row + c, d * col + e * row + f))

    result: NDArray[np.object_] = shapely.orient_polygons(shapely.transform(polygons, place))
    return result


def _mean_confidence(
    faces: NDArray[np.object_], own: NDArray[np.bool_], confidence: NDArray[np.uint8] | None
) -> NDArray[np.float64]:
    """Return the mean confidence, 0 to 1, over the ``own`` pixels of each face; NaN where there are none."""
    if confidence is None or len(faces) == 0:
        return np.full(len(faces), np.nan)
    counted = own & (confidence <= 100)
    percents = sums_inside(faces, np.where(counted, confidence, 0).astype(np.uint8))
    pixels = sums_inside(faces, counted.astype(np.uint8))
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = percents / pixels / 100
    return mean
