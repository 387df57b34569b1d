"""Which ground two maps share, and how points of one CRS come onto a grid of another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyproj
import shapely
from affine import Affine
from pyproj.exceptions import ProjError
from rasterio.features import rasterize

from geoseg.errors import InputError
from geoseg.maps.named_polygons import VECTOR_ENDINGS
from geoseg.scene.georeference import ground_pixel_m
from geoseg.scene.longitudes import copies, full_turn, past_the_end, projected_whole
from geoseg.scene.other_vectors import swapped_axes
from geoseg.vocabulary import Grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PIECES = 64
"""Into how many pieces a line as long as the map is cut before it is reprojected: it becomes a curve."""

_FAR = 16  # times the grid's size
_POINTS = 33  # along each side of a grid, and across it, by which it is found in another CRS: a pole may lie within


@dataclass(frozen=True, slots=True)
class Outline:
    """The box of ground that a map covers."""

    name: str
    """The map's, for messages."""
    crs: pyproj.CRS
    corners: NDArray[np.float64]
    """Shape (4, 2), x and y, going round."""

    @classmethod
    def of_grid(cls, name: str, grid: Grid) -> Outline:
        """Return the outline of all pixels of a grid."""
        corners = [grid.transform @ xy for xy in ((0, 0), (grid.width, 0), (grid.width, grid.height), (0, grid.height))]
        return cls(name, _crs(grid.crs), np.array(corners, np.float64))

    @property
    def place(self) -> str:
        """Where it lies, for messages: left, bottom, right, top in its own CRS."""
        bounds = (*self.corners.min(0), *self.corners.max(0))
        code = self.crs.to_authority()
        return f"{', '.join(f'{v:.10g}' for v in bounds)} in {':'.join(code) if code else self.crs.name}"

    def on(self, grid: Grid) -> shapely.Geometry:
        """Return the outline as a polygon in the column and row coordinates of a grid; may be empty."""
        box = shapely.Polygon(self.corners)
        if past_the_end(grid, _crs(grid.crs)):
            bendable = shapely.Polygon(_bendable(box.exterior))
            return shapely.union_all([_sound(part) for part in onto_both_sides(np.array([bendable]), self, grid)[0]])
        near = self.near(grid)
        if near is not None:
            box = box.intersection(shapely.box(*near))
        if box.geom_type != "Polygon" or box.is_empty:  # they touch at most
            return shapely.Polygon()
        return _sound(shapely.transform(shapely.Polygon(_bendable(box.exterior)), projection(self, grid)))

    def near(self, grid: Grid) -> tuple[float, float, float, float] | None:
        """Return left, bottom, right, top of what to keep of a map much larger than a grid; None for all.

        A map of the world has no sensible outline in the CRS of a town; the part around the town has.
        """
        if same_crs(self.crs, grid):
            return None
        cols, rows = np.meshgrid(np.linspace(0, grid.width, _POINTS), np.linspace(0, grid.height, _POINTS))
        xy = projection(self, grid, back=True)(np.stack([cols.ravel(), rows.ravel()], axis=1))
        if not np.isfinite(xy).all():
            return None
        low, high = xy.min(0), xy.max(0)
        if (np.ptp(self.corners, axis=0) < _FAR * (high - low)).all():
            return None
        (left, bottom), (right, top) = low - (high - low), high + (high - low)
        return left, bottom, right, top


def _sound(polygon: shapely.Polygon) -> shapely.Geometry:
    """Return what is left of a polygon without the points that have no place."""
    ring = shapely.get_coordinates(polygon)
    ring = ring[np.isfinite(ring).all(1)]
    return shapely.make_valid(shapely.Polygon(ring)) if len(ring) > 2 else shapely.Polygon()


def onto_both_sides(
    geometry: NDArray[np.object_], outline: Outline, grid: Grid
) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Return geometries of a map in the column and row coordinates of a grid that goes on past the antimeridian.

    Args:
        geometry: shape (n,), in the map's CRS, with vertices to bend at where that is another one.
        outline: of the map.
        grid: where to.

    Returns:
        The geometries, shape (m,), and which one of those given each is, in ascending order: what lies on the far side
        is there a turn away, too. What has no place there has infinite coordinates.
    """
    own = Outline.of_grid(outline.name, grid)
    turn = full_turn(own.crs)
    if not same_crs(outline.crs, grid):
        ground = Grid(grid.crs, Affine.identity(), grid.height, grid.width)
        geometry = projected_whole(shapely.transform(geometry, projection(outline, ground)), turn)
    moved, number = copies(geometry, turn, own.corners[:, 0].min(), own.corners[:, 0].max())
    return shapely.transform(moved, projection(own, grid)), number


def grid_over(reference: Outline, other: Outline | None, metres: float) -> Grid | None:
    """Return a grid in the reference's CRS over the ground of both; None where they share none.

    Args:
        reference: a box along the axes of its CRS.
        other: the other map; None for one without extent.
        metres: size of a pixel, true on the ground at the grid's centre.
    """
    (left, bottom), (right, top) = reference.corners.min(0), reference.corners.max(0)
    crs = reference.crs.to_wkt()
    coarse = Grid(crs, _north_up(left, top, (right - left) / 1000, (top - bottom) / 1000), 1000, 1000)
    shared = reference.on(coarse).envelope
    if other is not None:
        shared = shared.intersection(other.on(coarse).envelope)
    if shared.area == 0:
        return None
    first_col, first_row, last_col, last_row = shared.bounds
    (left, top), (right, bottom) = (
        coarse.transform @ corner for corner in ((first_col, first_row), (last_col, last_row))
    )
    dx, dy = (right - left) / 1000, (top - bottom) / 1000
    high, wide = ground_pixel_m(Grid(crs, _north_up(left, top, dx, dy), 1000, 1000))
    dx, dy = dx / wide * metres, dy / high * metres
    height, width = max(1, round((top - bottom) / dy)), max(1, round((right - left) / dx))
    return Grid(crs, _north_up(left, top, dx, dy), height, width)


def way_to_swap(drawn: Outline, other: Outline) -> str | None:
    """Return how to swap x and y of polygons that would then share ground with another map; None where they would not.

    Latitude comes first in files of those who take EPSG:4326 at its word.
    """
    swapped = Outline(drawn.name, drawn.crs, drawn.corners[:, ::-1])
    path = Path(drawn.name)
    if path.suffix.lower() not in VECTOR_ENDINGS or grid_over(other, swapped, 1.0) is None:
        return None
    return f"{path} would lie there with x and y swapped: {swapped_axes(path)}"


def _north_up(left: float, top: float, dx: float, dy: float) -> Affine:
    return Affine(dx, 0, left, 0, -dy, top)


def same_crs(crs: pyproj.CRS, grid: Grid) -> bool:
    """Return whether a grid lies in a CRS."""
    return _same(crs.to_wkt(), grid.crs)


def same_grid(one: Grid, other: Grid) -> bool:
    """Return whether pixels coincide to a thousandth."""
    if one.shape != other.shape or not same_crs(_crs(one.crs), other):
        return False
    corners = np.array([(0, 0), (0, one.height), (one.width, 0)], float)
    there = [~other.transform @ (one.transform @ (col, row)) for col, row in corners]
    return bool(np.abs(np.array(there) - corners).max() < 1e-3)


@lru_cache(256)
def _crs(wkt: str) -> pyproj.CRS:
    """Return the CRS of a text; of many grids, few have one of their own."""
    return pyproj.CRS.from_wkt(wkt)


@lru_cache(1024)
def _same(one: str, other: str) -> bool:
    return one == other or _crs(one).equals(_crs(other), ignore_axis_order=True)


@lru_cache(256)
def _transformer(there: str, here: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(_crs(there).to_2d(), _crs(here).to_2d(), always_xy=True)


def projection(
    outline: Outline, grid: Grid, *, back: bool = False
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the way from ground points (n, 2) of a map to column and row of a grid, or back.

    What has no place there becomes infinite.

    Raises:
        InputError: nothing is known that leads from one CRS to the other.
    """
    crs, project = outline.crs, None
    a, b, c, d, e, f = grid.transform[:6] if back else (~grid.transform)[:6]
    if not same_crs(crs, grid):
        try:
            ends = (grid.crs, crs.to_wkt()) if back else (crs.to_wkt(), grid.crs)
            project = _transformer(*ends)
        except ProjError as error:
            raise InputError(
                f"{outline.name}: cannot be brought from {crs.name} to {_crs(grid.crs).name} "
                f"({error}), expected known CRSs; assign the right one with ogr2ogr or gdal_translate -a_srs"
            ) from None

    def to_pixels(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = project.transform(xy[:, 0], xy[:, 1]) if project else (xy[:, 0], xy[:, 1])
        with np.errstate(invalid="ignore"):
            pixels = np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)
        pixels[~np.isfinite(pixels).all(1)] = np.inf  # not NaN, which no ring of points can be closed with
        return pixels

    def to_ground(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        col, row = pixels[:, 0], pixels[:, 1]
        x, y = a * col + b * row + c, d * col + e * row + f
        return np.stack(project.transform(x, y) if project else (x, y), axis=1)

    return to_ground if back else to_pixels


def _bendable(ring: shapely.Geometry) -> shapely.Geometry:
    """Return a ring with vertices at which straight lines can become curves."""
    return shapely.segmentize(ring, max(ring.length / (4 * PIECES), 1e-9))


def covered(labels: Outline, grid: Grid) -> shapely.Geometry:
    """Return the part of a grid that labels cover, in its column and row coordinates; of no area where none is."""
    return shapely.intersection(labels.on(grid), shapely.box(0, 0, grid.width, grid.height))


def inside(area: shapely.Geometry, grid: Grid, *, touched: bool = False) -> NDArray[np.bool_]:
    """Return which pixels of a grid have their centre, or any part, in an area of its column and row coordinates."""
    if area.is_empty:
        return np.zeros(grid.shape, bool)
    if area.covers(shapely.box(0.5, 0.5, grid.width - 0.5, grid.height - 0.5)):
        return np.ones(grid.shape, bool)
    burned: NDArray[np.uint8] = rasterize([(area, 1)], grid.shape, fill=0, dtype="uint8", all_touched=touched)
    return burned > 0
