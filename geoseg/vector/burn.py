"""Burn polygons of a coverage back into pixels, and add up pixels inside traced polygons.

Both walk along the borders instead of filling areas: an edge changes what lies to its right in its rows, and
the sum from the left is then the value of every pixel (the discrete form of Green's theorem). Neighbours
compute the same crossings from the same edges, so no pixel falls between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.vector.rings import Rings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vocabulary import Grid, Polygons


def final_classes(polygons: Polygons, grid: Grid) -> NDArray[np.uint8]:
    """Return the class raster that finished polygons amount to; a pixel goes to the polygon over its centre.

    Args:
        polygons: polygons that do not overlap, in the coordinates of the grid's CRS.
        grid: where the pixels lie.

    Returns:
        Shape (height, width), class values, 0 where there is no polygon.
    """
    height, width = grid.shape
    if len(polygons.values) == 0:
        return np.zeros((height, width), np.uint8)
    rings = Rings.of(shapely.orient_polygons(polygons.geometry))
    a, b, c, d, e, f = (~grid.transform)[:6]
    x, y = rings.xy.T
    col, row = a * x + b * y + c, d * x + e * y + f
    after = rings.following
    value = polygons.values.astype(np.int32)[rings.owner]
    # Counter-clockwise on the ground is the other way round in pixels where rows run southwards.
    sign = np.where(row[after] > row, 1, -1) * (1 if grid.transform.determinant > 0 else -1)
    # Both neighbours of an edge must reckon from the same end, or rounding would set them apart.
    downwards = row <= row[after]
    top, bottom = np.where(downwards, row, row[after]), np.where(downwards, row[after], row)
    left, right = np.where(downwards, col, col[after]), np.where(downwards, col[after], col)
    first = np.clip(np.ceil(top - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(bottom - 0.5), 0, height).astype(np.int64)
    count = last - first
    edge = np.repeat(np.arange(len(x)), count)
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count - first, count)
    share = (rows + 0.5 - top[edge]) / (bottom - top)[edge]
    cols = np.ceil(left[edge] + share * (right - left)[edge] - 0.5)
    change = np.zeros((height, width + 1), np.int32)
    np.add.at(change, (rows, np.clip(cols, 0, width).astype(np.int64)), (sign * value)[edge])
    # The edges are summed from the left, where an edge that ends a polygon counts negative.
    return (-np.cumsum(change, axis=1, out=change)[:, :width]).astype(np.uint8)


def sums_inside(faces: NDArray[np.object_], amounts: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the sum of the pixels inside each traced face.

    Args:
        faces: shape (n,), as ``trace`` returns them: a vertex at every pixel corner.
        amounts: shape (height, width).

    Returns:
        Shape (n,).
    """
    height, width = amounts.shape
    before = np.zeros((height, width + 1), np.uint32)  # what lies left of each pixel border in its row
    np.cumsum(amounts, axis=1, out=before[:, 1:])
    rings = Rings.of(faces)
    corners = rings.xy.astype(np.int64)
    steps = corners[rings.following] - corners
    upright = np.flatnonzero(steps[:, 1])
    col, row = corners[upright].T
    down = steps[upright, 1]
    inside = before[row - (down < 0), col].astype(np.int64) * down
    sums = np.zeros(len(faces), np.int64)
    np.add.at(sums, rings.owner[upright], inside)
    return sums
