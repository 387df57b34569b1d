"""The part of a scene that was asked for: a box or polygons on the ground, as a window and a mask of pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoseg.errors import InputError, UsageError
from geoseg.scene.georeference import bounds_of
from geoseg.vocabulary import Grid, Window

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_SNAP = 1e-6  # pixels; a box drawn along pixel borders must not gain a row from rounding


@dataclass(frozen=True, slots=True)
class Area:
    """Ground that was asked for, in the CRS of the scene; the whole scene where nothing was said."""

    bounds: tuple[float, float, float, float] | None = None
    """Left, bottom, right, top."""
    polygons: tuple[Any, ...] = ()
    """Shapely polygons; pixels whose centre lies outside all of them are nodata."""

    def window(self, grid: Grid) -> Window:
        """Return the smallest window of whole pixels that holds the area; may be empty."""
        if self.bounds is None:
            return grid.whole
        left, bottom, right, top = self.bounds
        corners = [~grid.transform @ xy for xy in ((left, top), (right, top), (left, bottom), (right, bottom))]
        cols, rows = zip(*corners, strict=True)
        first = math.floor(min(rows) + _SNAP), math.floor(min(cols) + _SNAP)
        stop = math.ceil(max(rows) - _SNAP), math.ceil(max(cols) - _SNAP)
        box = Window(*first, max(0, stop[0] - first[0]), max(0, stop[1] - first[1]))
        return box.intersection(grid.whole)

    def inside(self, grid: Grid) -> NDArray[np.bool_] | None:
        """Return which pixels of a grid belong to the polygons, shape (height, width); None if all do."""
        if not self.polygons:
            return None
        from rasterio.features import geometry_mask

        inside: NDArray[np.bool_] = geometry_mask(self.polygons, grid.shape, grid.transform, invert=True)
        return inside


def whole_or_box(bounds: tuple[float, float, float, float] | None, grid: Grid, name: str) -> Area:
    """Return the area of a box, or of the whole scene.

    Raises:
        UsageError: the box is turned inside out.
        InputError: the box does not meet the scene.
    """
    if bounds is None:
        return Area()
    left, bottom, right, top = bounds
    if not (left < right and bottom < top):
        raise UsageError(f"--bounds: {bounds} is not LEFT BOTTOM RIGHT TOP with left < right and bottom < top")
    return _meeting(Area(bounds), grid, name, "--bounds")


def read_aoi(path: Path, grid: Grid, name: str) -> Area:
    """Return the polygons of a vector file, brought to the scene's CRS.

    Args:
        path: any vector file; all its polygons count.
        grid: the scene's grid.
        name: the scene's name, for messages.

    Raises:
        InputError: the file cannot be read, has no polygons or no CRS, or does not meet the scene.
    """
    import geopandas

    if not path.is_file():
        raise InputError(f"{path}: no such file; --aoi wants a vector file of polygons")
    try:
        frame = geopandas.read_file(path, engine="pyogrio")
    except Exception as wrong:
        raise InputError(f"{path}: cannot be read as a vector file; --aoi wants polygons ({wrong})") from wrong
    if frame.crs is None:
        raise InputError(f"{path}: has no CRS, so it cannot be laid over the scene")
    frame = frame.to_crs(grid.crs)
    parts = frame.geometry.make_valid().explode()
    polygons = tuple(parts[parts.geom_type == "Polygon"])
    if not polygons:
        raise InputError(f"{path}: has no polygons; --aoi wants polygons")
    left, bottom, right, top = (float(v) for v in geopandas.GeoSeries(polygons).total_bounds)
    return _meeting(Area((left, bottom, right, top), polygons), grid, name, "--aoi")


def _meeting(area: Area, grid: Grid, name: str, flag: str) -> Area:
    window = area.window(grid)
    if window.height == 0 or window.width == 0:
        scene = ", ".join(f"{v:.10g}" for v in bounds_of(grid.transform, grid.height, grid.width))
        asked = ", ".join(f"{v:.10g}" for v in area.bounds or ())
        raise InputError(f"{name}: {flag} asks for {asked}, but the scene covers {scene} (left, bottom, right, top)")
    return area
