"""Which ground two maps share, and how points of one CRS come onto a grid of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyproj
import shapely
from affine import Affine
from pyproj.exceptions import ProjError

from geoseg.errors import InputError
from geoseg.scene.georeference import ground_pixel_m
from geoseg.vocabulary import Grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PIECES = 64
"""Into how many pieces a line as long as the map is cut before it is reprojected: it becomes a curve."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The box of ground that a map covers."""

    crs: pyproj.CRS
    corners: NDArray[np.float64]
    """Shape (4, 2), x and y, going round."""

    def on(self, grid: Grid) -> shapely.Geometry:
        """Return the outline as a polygon in the column and row coordinates of a grid; may be empty."""
        project = projection(self.crs, grid)
        share = np.linspace(0, 1, PIECES, endpoint=False)[:, None]
        sides = zip(self.corners, np.roll(self.corners, -1, axis=0), strict=True)
        ring = project(np.concatenate([start + share * (end - start) for start, end in sides]))
        ring = ring[np.isfinite(ring).all(1)]
        return shapely.make_valid(shapely.Polygon(ring)) if len(ring) > 2 else shapely.Polygon()


def grid_over(reference: Outline, other: Outline | None, metres: float) -> Grid | None:
    """Return a grid in the reference's CRS over the ground of both; None where they share none.

    Args:
        reference: a box along the axes of its CRS.
        other: the other map; None for one without extent.
        metres: size of a pixel, true on the ground at the grid's centre.
    """
    unit = Grid(reference.crs.to_wkt(), Affine.identity(), 1, 1)
    shared = reference.on(unit).envelope
    if other is not None:
        shared = shared.intersection(other.on(unit).envelope)
    if shared.area == 0:
        return None
    left, bottom, right, top = shared.bounds
    dx, dy = (right - left) / 1000, (top - bottom) / 1000
    high, wide = ground_pixel_m(Grid(unit.crs, Affine(dx, 0, left, 0, -dy, top), 1000, 1000))
    dx, dy = dx / wide * metres, dy / high * metres
    height, width = max(1, round((top - bottom) / dy)), max(1, round((right - left) / dx))
    return Grid(unit.crs, Affine(dx, 0, left, 0, -dy, top), height, width)


def same_crs(crs: pyproj.CRS, grid: Grid) -> bool:
    """Return whether a grid lies in a CRS."""
    return crs.equals(pyproj.CRS.from_wkt(grid.crs), ignore_axis_order=True)


def same_grid(one: Grid, other: Grid) -> bool:
    """Return whether pixels coincide to a thousandth."""
    if one.shape != other.shape or not same_crs(pyproj.CRS.from_wkt(one.crs), other):
        return False
    corners = np.array([(0, 0), (0, one.height), (one.width, 0)], float)
    there = [~other.transform @ (one.transform @ (col, row)) for col, row in corners]
    return bool(np.abs(np.array(there) - corners).max() < 1e-3)


def projection(crs: pyproj.CRS, grid: Grid) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the way from ground points (n, 2) of a CRS to column and row; what has none becomes infinite."""
    a, b, c, d, e, f = (~grid.transform)[:6]
    project = None
    if not same_crs(crs, grid):
        try:
            there = pyproj.CRS.from_wkt(grid.crs).to_2d()
            project = pyproj.Transformer.from_crs(crs.to_2d(), there, always_xy=True)
        except ProjError as error:
            raise InputError(
                f"{crs.name}: cannot be brought to {pyproj.CRS.from_wkt(grid.crs).name} ({error}); "
                "reproject one of the maps first with ogr2ogr -t_srs or gdalwarp -t_srs"
            ) from None

    def to_pixels(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = project.transform(xy[:, 0], xy[:, 1]) if project else (xy[:, 0], xy[:, 1])
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)

    return to_pixels
