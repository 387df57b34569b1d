"""Vector truth: the footprints and centrelines that a scene was painted from, exact rather than by pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import shapely

from geoseg.demo import buildings
from geoseg.demo.city import arterial_half, city_of
from geoseg.demo.climates import climate_of
from geoseg.demo.districts import BANK, District, crossing, district_of, row
from geoseg.demo.furnish import furniture_of
from geoseg.demo.render import touched
from geoseg.demo.roadside import DRY, KERB, survey, survey_arterials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geoseg.demo.city import City
    from geoseg.demo.climate import Climate
    from geoseg.vocabulary import Window

_KINDS = ("villa", "townhouse", "apartments", "tower", "warehouse", "pavilion", "farm")
_Shape = TypeVar("_Shape", shapely.Polygon, shapely.LineString)
_STEP = 6.0  # metres between the points of a centreline


@dataclass(frozen=True, slots=True)
class Footprint:
    """A building's outline."""

    polygon: shapely.Polygon
    """In pixel coordinates: x is the column, y the row; a pixel's middle is at one half."""
    height_m: float
    kind: str


@dataclass(frozen=True, slots=True)
class Centerline:
    """A road's middle."""

    line: shapely.LineString
    """In pixel coordinates: x is the column, y the row; a pixel's middle is at one half."""
    width_m: float


def footprints(seed: int, window: Window, climate: Climate | str = "dry") -> Iterator[Footprint]:
    """Yield the buildings of a window, cut at its edges, district by district."""
    climate = climate_of(climate)
    for i, j in touched(city_of(seed, climate), window):
        kind = _KINDS[district_of(seed, i, j, climate).kind]
        houses = furniture_of(seed, i, j, climate).houses
        for house in houses[houses[:, buildings.CHILD] == 0.0]:
            for part in _within(buildings.outline(house), window, shapely.Polygon):
                yield Footprint(part, round(float(house[buildings.HEIGHT]), 1), kind)


def centerlines(seed: int, window: Window, climate: Climate | str = "dry") -> Iterator[Centerline]:
    """Yield the roads of a window, cut at its edges, district by district; bridges included."""
    climate = climate_of(climate)
    city = city_of(seed, climate)
    for i, j in touched(city, window):
        district = district_of(seed, i, j, climate)
        for points, width in (*_arterials(city, district), *_streets(city, district)):
            if len(points) > 1:
                for part in _within(shapely.LineString(points), window, shapely.LineString):
                    yield Centerline(part, round(width, 1))


def _within(shape: _Shape, window: Window, kind: type[_Shape]) -> list[_Shape]:
    """Return the parts of a shape that lie in a window and are of the same kind."""
    left, top, right, bottom = shape.bounds
    if left >= window.col and top >= window.row and right <= window.right and bottom <= window.bottom:
        return [shape]
    if left >= window.right or top >= window.bottom or right <= window.col or bottom <= window.row:
        return []
    cut = shape.intersection(shapely.box(window.col, window.row, window.right, window.bottom))
    return [part for part in shapely.get_parts(cut) if isinstance(part, kind) and not part.is_empty]


def _arterials(city: City, district: District) -> Iterator[tuple[NDArray[np.float64], float]]:
    """Yield points, shape (n, 2), and width of the two arterials at the start of a district."""
    share = np.linspace(0.0, 1.0, math.ceil(city.spacing / _STEP))
    for axis, k in ((0, district.i), (1, district.j)):
        places = np.column_stack([np.full(len(share), float(axis)), share, np.zeros(len(share))])
        yield survey_arterials(city, district, places)[:, :2], 2.0 * arterial_half(city, axis, k)


def _streets(city: City, district: District) -> Iterator[tuple[NDArray[np.float64], float]]:
    """Yield points, shape (n, 2), and width of the local streets of a district, from arterial to arterial."""
    reach = 0.95 * city.spacing
    along = np.arange(-reach, reach, _STEP)
    for k in range(math.floor(-reach / district.rows), math.ceil(reach / district.rows) + 1):
        low, high = row(district, k), row(district, k + 1)
        yield from _runs(city, district, np.column_stack([along, np.full(len(along), low)]))
        across = np.linspace(low, high, math.ceil((high - low) / _STEP) + 1)
        for m in range(math.floor(-reach / district.crossings) - 2, math.ceil(reach / district.crossings) + 1):
            place = np.full(len(across), crossing(district, k, m))
            yield from _runs(city, district, np.column_stack([place, across]))


def _runs(city: City, district: District, places: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float64], float]]:
    """Yield the stretches of a street, given by places ``u, v``, that lie in the district and on dry land."""
    there = survey(city, district, places)
    built = (there[:, KERB] > -50.0) & (there[:, DRY] > BANK)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], built, [False]]).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        yield there[start:end, :2], 2.0 * district.half
