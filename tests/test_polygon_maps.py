"""Class polygons laid onto a grid: only those around it are looked at, and not one of those is missed."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.maps.named_polygons import NamedPolygons
from geoseg.maps.polygon_map import PolygonMap
from geoseg.vocabulary import Grid

_PLACES = {  # somewhere in each CRS, and a pole
    "EPSG:32645": (86.3, 27.6),
    "EPSG:4326": (86.3, 27.6),
    "EPSG:3857": (86.3, 27.6),
    "EPSG:3413": (-45.0, 89.99),
    "EPSG:3031": (10.0, -89.99),
}


def _town(crs: str, centre: tuple[float, float], size: float, houses: int, seed: int) -> PolygonMap:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, size, (2, houses)) + np.array(centre)[:, None]
    if crs == "EPSG:4326":
        y = np.clip(y, -90, 90)
    half = size * 10 ** rng.uniform(-2, 0.3, houses)
    polygons = shapely.box(x - half, y - half, x + half, y + half)
    names = rng.choice(["building", "road", "hedge"], houses).astype(object)
    read = NamedPolygons(pyproj.CRS(crs), polygons, names, frozenset(names), ())
    return PolygonMap("town", read, lambda name: name)


def _codes(town: PolygonMap, grid: Grid) -> np.ndarray:
    with town.onto(grid) as rows:
        return rows(grid.whole)


@settings(max_examples=60, deadline=None)
@given(
    of_grid=st.sampled_from(sorted(_PLACES)),
    of_town=st.sampled_from(sorted(_PLACES)),
    pixel_m=st.sampled_from([0.3, 10.0, 3000.0]),
    spread=st.sampled_from([0.3, 3.0, 60.0]),
    turned=st.sampled_from([0.0, 33.0, 180.0]),
    turns=st.sampled_from([0, 0, 1, -1]),
    seed=st.integers(0, 2**32 - 1),
)
def test_polygons_that_are_passed_over_lie_on_no_pixel(of_grid, of_town, pixel_m, spread, turned, turns, seed):
    """The oracle looks at all polygons."""
    lon, lat = _PLACES[of_grid]
    x, y = pyproj.Transformer.from_crs("EPSG:4326", of_grid, always_xy=True).transform(lon, lat)
    centre = pyproj.Transformer.from_crs("EPSG:4326", of_town, always_xy=True).transform(lon, lat)
    if not np.isfinite(centre).all():
        return
    if of_town == "EPSG:4326":  # longitudes of 0 to 360 are written, too
        centre = centre[0] + 360 * turns, centre[1]
    degrees = 1e-5
    pixel = pixel_m * (degrees if of_grid == "EPSG:4326" else 1)
    transform = Affine.translation(x, y) @ Affine.rotation(turned) @ Affine.scale(pixel, -pixel)
    grid = Grid(pyproj.CRS(of_grid).to_wkt(), transform @ Affine.translation(-30, -20), 40, 60)
    size = 50 * pixel_m * spread * (degrees if of_town == "EPSG:4326" else 1)
    town = _town(of_town, centre, size, 150, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PolygonMap, "_around", lambda self, _outline, _grid: (self._geometry, self._codes))
        every = _codes(town, grid)
    np.testing.assert_array_equal(_codes(town, grid), every)


@pytest.mark.parametrize("crs", ["EPSG:32645", "EPSG:4326"])
def test_a_tile_of_a_town_looks_at_its_own_polygons(crs):
    """Looking at all of 60 000 for each of 2000 tiles took nine minutes."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32645", always_xy=True).transform(86.3, 27.6)
    size, centre = (3000.0, (x, y)) if crs == "EPSG:32645" else (0.03, (86.3, 27.6))
    town = _town(crs, centre, size, 5000, 1)
    tile = Grid(pyproj.CRS("EPSG:32645").to_wkt(), Affine(1, 0, x, 0, -1, y), 100, 100)
    geometry, codes = town.placed(tile)
    assert 0 < len(geometry) == len(codes) < 2500


@pytest.mark.parametrize("crs", ["EPSG:32645", "EPSG:4326"])
def test_a_tile_between_the_polygons_of_a_large_map_has_none(crs):
    """A park in a town: what is cut out of the map around it is empty."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32645", always_xy=True).transform(86.3, 27.6)
    back = pyproj.Transformer.from_crs("EPSG:32645", crs, always_xy=True).transform
    corners = [(x - 3000, y), (x + 2990, y), (x - 3000, y - 3000)]
    houses = [
        shapely.transform(shapely.box(a, b, a + 10, b + 10), lambda p: np.array(back(*p.T)).T) for a, b in corners
    ]
    names = np.array(["building"] * 3, object)
    read = NamedPolygons(pyproj.CRS(crs), np.array(houses, object), names, frozenset(names), ())
    town = PolygonMap("town", read, lambda name: name)
    assert not _codes(town, Grid(pyproj.CRS("EPSG:32645").to_wkt(), Affine(1, 0, x, 0, -1, y), 100, 100)).any()
