"""Polygons measure what the ground measures."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.vector.measure import Ruler, ground_pixel_area_m2
from geoseg.vector.rings import Rings
from geoseg.vocabulary import Grid
from tests.oracles import gdal_faces, polygons_of_rings
from tests.traced_maps import TRANSFORMS, blobs, grid_of, polygons_of, rasters


@settings(max_examples=60, deadline=None)
@given(rasters, st.integers(0, 2**32 - 1))
def test_mean_confidence_is_that_of_the_pixels_below(classes, seed):
    confidence = np.random.default_rng(seed).integers(0, 101, classes.shape).astype(np.uint8)
    confidence[classes == 0] = 255
    found = polygons_of(classes, confidence)
    for polygon, mean in zip(found.geometry, found.confidence, strict=True):
        inside = rasterio.features.geometry_mask(
            [polygon], classes.shape, transform=TRANSFORMS["north-up"], invert=True
        )
        assert mean == pytest.approx(confidence[inside].mean() / 100)


def test_pixels_taken_over_by_the_sieve_do_not_count_for_the_new_class():
    classes = np.full((10, 10), 5, np.uint8)
    classes[4, 4] = 1
    confidence = np.full((10, 10), 80, np.uint8)
    confidence[4, 4] = 7
    found = polygons_of(classes, confidence, min_area_m2={1: 5.0})
    assert found.values.tolist() == [5]
    assert found.confidence.tolist() == [0.8]
    assert np.isnan(polygons_of(classes).confidence).all()


def test_feet_become_metres():
    feet = CRS.from_epsg(2263).to_wkt(version="WKT2_2019")  # New York, US survey feet
    classes = np.full((10, 20), 1, np.uint8)
    grid = grid_of(classes, Affine(2, 0, 985_000, 0, -2, 210_000), feet)
    found = polygons_of(classes, grid=grid)
    foot = 1200 / 3937
    assert found.area_m2.tolist() == pytest.approx([20 * 40 * foot**2])
    assert found.perimeter_m.tolist() == pytest.approx([120 * foot])
    assert ground_pixel_area_m2(grid) == pytest.approx((2 * foot) ** 2)


def test_degrees_are_measured_along_the_ellipsoid_as_in_an_equal_area_projection():
    classes = np.full((40, 60), 2, np.uint8)
    classes[10:20, 10:20] = 1
    grid = grid_of(classes, Affine(1e-5, 0, 55.3, 0, -1e-5, 25.2), CRS.from_epsg(4326).to_wkt(version="WKT2_2019"))
    found = polygons_of(classes, grid=grid)
    to_laea = pyproj.Transformer.from_crs(4326, "+proj=laea +lat_0=25.2 +lon_0=55.3 +ellps=WGS84", always_xy=True)
    plane = shapely.transform(found.geometry, to_laea.transform, interleaved=False)
    np.testing.assert_allclose(found.area_m2, shapely.area(plane), rtol=1e-6)
    np.testing.assert_allclose(found.perimeter_m, shapely.length(plane), rtol=1e-6)
    assert ground_pixel_area_m2(grid) * 100 == pytest.approx(found.of_class(1).area_m2[0], rel=1e-5)


def test_square_metres_of_web_mercator_are_those_of_the_ground():
    classes = np.full((50, 50), 1, np.uint8)
    mercator = CRS.from_epsg(3857).to_wkt(version="WKT2_2019")
    x, y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(10.75, 59.9)
    grid = grid_of(classes, Affine(1, 0, x, 0, -1, y), mercator)
    (area,) = polygons_of(classes, grid=grid).area_m2
    assert area == pytest.approx(2500 * np.cos(np.radians(59.9)) ** 2, rel=0.01)


def test_a_local_grid_is_measured_in_its_own_unit():
    local = CRS.from_wkt(
        'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["(E)",east],AXIS["(N)",north],LENGTHUNIT["foot",0.3048]]'
    ).to_wkt(version="WKT2_2019")
    classes = np.full((10, 10), 1, np.uint8)
    found = polygons_of(classes, grid=grid_of(classes, Affine(1, 0, 0, 0, -1, 0), local))
    assert found.area_m2.tolist() == pytest.approx([100 * 0.3048**2])


def test_national_grids_are_planar():
    for code in (32640, 2263, 27700, 3035, 2154):
        crs = pyproj.CRS(code)
        west, south, east, north = crs.area_of_use.bounds
        x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform((west + east) / 2, (south + north) / 2)
        assert Ruler.of(Grid(crs.to_wkt(), Affine(1, 0, x, 0, -1, y), 100, 100)).geod is None


def test_rings_come_apart_and_together_again():
    faces, _ = gdal_faces(blobs(1))
    assert shapely.equals_exact(polygons_of_rings(Rings.of(faces)), faces).all()
