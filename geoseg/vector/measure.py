"""Measure polygons on the ground, in metres whatever the units of their CRS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyproj
import shapely

from geoseg.vector.rings import Rings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vocabulary import Grid

# Web Mercator's square metres are 20 % too large in Dubai, 300 % in Oslo; national grids stay well below.
_TOLERATED_DISTORTION = 0.02
_LONGEST_EDGE = 0.05  # degrees; a longer edge along a parallel would stray from its geodesic


@dataclass(frozen=True, slots=True)
class Ruler:
    """How ground coordinates become metres: straight, or along the ellipsoid."""

    metres: float
    """Length of one unit of a planar CRS; 1 for degrees."""
    geod: pyproj.Geod | None
    """The ellipsoid where coordinates must be measured along it; None where the plane will do."""
    to_degrees: pyproj.Transformer | None
    """From projected coordinates to longitude and latitude, where needed."""
    degrees: float = 1.0
    """Size of an angular unit of the CRS, in degrees."""

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """Choose the ruler of a grid.

        Geographic CRSs are measured along the ellipsoid, and so are projections that distort areas at the
        middle of the grid by more than 2 % (Web Mercator). All others, local ones included, are planar.
        """
        crs = pyproj.CRS(grid.crs)
        unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        if crs.is_geographic:
            return cls(1.0, crs.get_geod(), None, math.degrees(unit))
        if crs.is_projected and (geographic := crs.geodetic_crs) is not None:
            transformer = pyproj.Transformer.from_crs(crs, geographic, always_xy=True)
            corner = grid.transform @ (grid.width / 2, grid.height / 2)
            if abs(_areal_scale(crs, transformer, corner) - 1) > _TOLERATED_DISTORTION:
                return cls(1.0, crs.get_geod(), transformer)
        return cls(unit, None, None)

    def measure(self, polygons: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return areas in square metres and perimeters in metres, holes included, both of shape (n,).

        Args:
            polygons: shape (n,), exteriors counter-clockwise, holes clockwise, in ground coordinates.
        """
        if self.geod is None or len(polygons) == 0:
            return shapely.area(polygons) * self.metres**2, shapely.length(polygons) * self.metres
        rings = Rings.of(self._in_degrees(polygons))
        parts = np.split(rings.xy, rings.first[1:]) if len(rings.first) else []
        measured = [self.geod.polygon_area_perimeter(*ring.T) for ring in parts]  # clockwise counts negative
        by_ring = np.array(measured, np.float64).reshape(-1, 2)
        by_polygon = np.zeros((len(polygons), 2))
        np.add.at(by_polygon, rings.polygon, by_ring)
        return by_polygon[:, 0], by_polygon[:, 1]

    def flat(self, polygons: NDArray[np.object_]) -> NDArray[np.object_]:
        """Return polygons drawn in metres, each around its own middle; shape (n,).

        So lengths of different directions can be compared. Degrees become metres by the length of a degree of longitude
        and of latitude at the middle of each polygon, which holds for polygons that are small on the globe. Those that
        lie nowhere on it are empty.

        Args:
            polygons: shape (n,), in ground coordinates.
        """
        if self.to_degrees is not None:
            polygons = shapely.transform(polygons, self.to_degrees.transform, interleaved=False)
        bounds = shapely.bounds(polygons).reshape(-1, 4)
        polygons = np.where(np.isfinite(bounds).all(axis=1), polygons, shapely.Polygon())
        middle = np.where(np.isfinite(bounds), bounds, 0.0).reshape(-1, 2, 2).mean(axis=1)
        scale = np.full(middle.shape, self.metres)
        if self.geod is not None:
            latitude, unit = np.radians(middle[:, 1] * self.degrees), math.radians(self.degrees)
            bulge = 1 - self.geod.es * np.sin(latitude) ** 2
            scale[:, 0] = self.geod.a * np.cos(latitude) / np.sqrt(bulge) * unit
            scale[:, 1] = self.geod.a * (1 - self.geod.es) / bulge**1.5 * unit
        owner = np.repeat(np.arange(len(polygons)), shapely.get_num_coordinates(polygons))
        flat: NDArray[np.object_] = shapely.transform(polygons, lambda xy: (xy - middle[owner]) * scale[owner])
        return flat

    def lengths(self, lines: NDArray[np.object_]) -> NDArray[np.float64]:
        """Return the lengths of lines in metres, shape (n,).

        Args:
            lines: shape (n,), shapely LineStrings in ground coordinates.
        """
        if self.geod is None:
            return np.asarray(shapely.length(lines) * self.metres, np.float64)
        geod = self.geod
        parts = map(shapely.get_coordinates, self._in_degrees(lines))
        return np.array([geod.line_length(*part.T) for part in parts], np.float64)

    def _in_degrees(self, shapes: NDArray[np.object_]) -> NDArray[np.object_]:
        """Return shapes in longitude and latitude, no edge longer than what strays from its geodesic."""
        if self.to_degrees is not None:
            shapes = shapely.transform(shapes, self.to_degrees.transform, interleaved=False)
        elif self.degrees != 1.0:
            shapes = shapely.transform(shapes, lambda xy: xy * self.degrees)
        return np.asarray(shapely.segmentize(shapes, _LONGEST_EDGE), object)


def ground_pixel_area_m2(grid: Grid) -> float:
    """Return the area of a pixel in the middle of a grid, in square metres on the ground."""
    row, col = grid.height // 2, grid.width // 2
    corners = [grid.transform @ corner for corner in ((0, 0), (1, 0), (1, 1), (0, 1))]
    middle = grid.transform @ (col, row)
    shift = np.subtract(middle, grid.transform @ (0, 0))
    pixel = shapely.orient_polygons(shapely.Polygon([np.add(corner, shift) for corner in corners]))
    area, _ = Ruler.of(grid).measure(np.array([pixel]))
    return float(area[0])


def _areal_scale(crs: pyproj.CRS, transformer: pyproj.Transformer, place: tuple[float, float]) -> float:
    """Return projected per true area at a place given in ground coordinates; 1 where it cannot be known."""
    longitude, latitude = transformer.transform(*place)
    try:
        factors = pyproj.Proj(crs).get_factors(longitude, latitude)
    except (pyproj.exceptions.ProjError, pyproj.exceptions.CRSError):
        return 1.0
    scale = float(factors.areal_scale)
    return scale if math.isfinite(scale) and scale > 0 else 1.0
