"""Polygons cover every pixel once, at every tolerance, on any grid."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.errors import InputError
from tests.oracles import gdal_faces, outlines_of
from tests.traced_maps import TRANSFORMS, UTM, blobs, grid_of, polygons_of, rasters, tolerances


@settings(max_examples=150, deadline=None)
@given(rasters, tolerances, st.sampled_from([None, 1, 2, 3]))
def test_faces_are_a_valid_coverage_of_the_whole_frame_at_any_tolerance(classes, tolerance, belt):
    classes = classes + np.uint8(1)  # nodata is a face like the others, but never written
    height, width = classes.shape
    found = polygons_of(
        classes, simplify_px=tolerance, belt=belt, grid=grid_of(classes, Affine(1, 0, 0, 0, -1, height))
    )
    assert shapely.is_valid(found.geometry).all()
    assert shapely.coverage_is_valid(found.geometry)
    frame = shapely.box(0, 0, width, height)
    assert shapely.area(found.geometry).sum() == pytest.approx(frame.area)
    assert shapely.equals(shapely.union_all(found.geometry), frame)


@pytest.mark.parametrize("tolerance", [0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_wobbly_regions_stay_a_valid_coverage(seed, tolerance):
    classes = blobs(seed) + np.uint8(1)
    exact = polygons_of(classes)
    for belt in (None, 7, 32):
        found = polygons_of(classes, simplify_px=tolerance, belt=belt)
        assert len(found.values) == len(exact.values)
        assert shapely.is_valid(found.geometry).all()
        assert shapely.coverage_is_valid(found.geometry)
        assert shapely.area(found.geometry).sum() == classes.size * 0.25
    if tolerance >= 0.75:
        few = polygons_of(classes, simplify_px=tolerance)
        cracks = exact.perimeter_m.sum() / 0.5
        assert shapely.get_num_coordinates(few.geometry).sum() < 0.6 * cracks


@settings(max_examples=20, deadline=None)
@given(rasters, st.integers(2, 53), tolerances)
def test_long_straight_borders_meet_exactly(classes, size, tolerance):
    large = np.kron(classes[:4, :4] + np.uint8(1), np.ones((size, size), np.uint8))
    found = polygons_of(large, simplify_px=tolerance, belt=16)
    assert shapely.coverage_is_valid(found.geometry)
    assert shapely.area(found.geometry).sum() == large.size * 0.25


@settings(max_examples=100, deadline=None)
@given(rasters, st.integers(1, 9), st.integers(1, 9))
def test_polygons_are_those_of_gdal_whatever_the_strips_and_belts(classes, strip, belt):
    found = polygons_of(classes, strip=strip, belt=belt, grid=grid_of(classes, Affine.identity()))
    faces, values = gdal_faces(classes)
    assert outlines_of(found.geometry, found.values) == outlines_of(faces[values > 0], values[values > 0])


@pytest.mark.parametrize("tolerance", [0.0, 0.75, 3.0])
def test_strips_and_threads_change_not_a_byte(tolerance):
    classes = np.concatenate([blobs(seed, 150, 90) for seed in range(4)])
    confidence = np.random.default_rng(0).integers(0, 101, classes.shape).astype(np.uint8)
    least = dict.fromkeys(range(1, 6), 5.0)
    first, *others = (
        polygons_of(
            classes, confidence, min_area_m2=least, simplify_px=tolerance, belt=64, strip=strip, threads=threads
        )
        for strip, threads in ((None, 1), (1, 1), (2, 2), (37, 4), (512, 2))
    )
    for other in others:
        for name in ("values", "area_m2", "perimeter_m", "confidence"):
            np.testing.assert_array_equal(getattr(other, name), getattr(first, name))
        assert shapely.to_wkb(other.geometry).tolist() == shapely.to_wkb(first.geometry).tolist()


@settings(max_examples=60, deadline=None)
@given(rasters, st.integers(1, 5), tolerances, st.integers(1, 9))
def test_cells_cut_polygons_and_nothing_else(classes, size, tolerance, belt):
    grid = grid_of(classes, Affine.identity())
    whole = polygons_of(classes, grid=grid, simplify_px=tolerance, belt=belt)
    cut = polygons_of(classes, grid=grid, simplify_px=tolerance, belt=belt, split_px=size)
    assert shapely.is_valid(cut.geometry).all()
    if (classes > 0).all():
        assert shapely.coverage_is_valid(cut.geometry)
    left, top, right, bottom = shapely.bounds(cut.geometry).T if len(cut.values) else np.empty((4, 0))
    assert (np.ceil(right / size) - np.floor(left / size) <= 1).all()
    assert (np.ceil(bottom / size) - np.floor(top / size) <= 1).all()
    if tolerance == 0:
        for value in range(1, 4):
            pieces = shapely.union_all(cut.of_class(value).geometry)
            assert shapely.equals(pieces, shapely.union_all(whole.of_class(value).geometry))


def test_a_small_region_is_small_whatever_the_cells():
    classes = np.full((40, 40), 5, np.uint8)
    classes[14:18, 14:18] = 1  # 16 px, across the corner of four cells
    classes[4:6, 4:6] = 1  # 4 px
    found = polygons_of(classes, min_area_m2={1: 2.0}, split_px=16)
    assert found.of_class(1).area_m2.tolist() == [1.0] * 4
    assert found.area_m2.sum() == 400.0


def test_a_spiral_through_all_belts_is_one_polygon():
    classes = np.full((41, 41), 1, np.uint8)
    row, col, step_row, step_col = 1, 0, 0, 1
    classes[1:-1, 1:-1] = 2
    for length in range(39, 0, -2):  # a path of class 1 that winds inwards
        for _ in range(2):
            for _ in range(length):
                row, col = row + step_row, col + step_col
                if 0 <= row < 41 and 0 <= col < 41:
                    classes[row, col] = 1
            step_row, step_col = step_col, -step_row
    for belt in (1, 2, 5, 64):
        found = polygons_of(classes, belt=belt, grid=grid_of(classes, Affine.identity()))
        faces, values = gdal_faces(classes)
        assert outlines_of(found.geometry, found.values) == outlines_of(faces, values)


@settings(max_examples=100, deadline=None)
@given(rasters)
def test_without_simplification_polygons_are_the_pixels(classes):
    found = polygons_of(classes)
    expected = np.zeros_like(classes)
    if len(found.values):
        pairs = zip(found.geometry, found.values.tolist(), strict=True)
        expected = rasterio.features.rasterize(pairs, classes.shape, transform=TRANSFORMS["north-up"], dtype="uint8")
    np.testing.assert_array_equal(expected, classes)
    for value in range(1, 4):
        area = found.of_class(value).area_m2.sum()
        assert area == pytest.approx((classes == value).sum() * 0.25, abs=1e-6)


def test_without_simplification_only_corners_and_meeting_points_are_vertices():
    classes = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [2, 2, 3, 3]], np.uint8)
    found = polygons_of(classes)
    one, two, three = found.geometry[np.argsort(found.values)]
    assert shapely.get_num_coordinates(one) == 6  # four corners, the place where 2 meets 3, and the closing one
    assert shapely.get_num_coordinates(two) == shapely.get_num_coordinates(three) == 5


def test_one_class_alone_is_one_rectangle():
    found = polygons_of(np.full((300, 200), 3, np.uint8), simplify_px=1.0)
    assert shapely.get_num_coordinates(found.geometry).tolist() == [5]
    assert found.area_m2.tolist() == [300 * 200 * 0.25]
    assert found.perimeter_m.tolist() == [500.0]


def test_nothing_but_nodata_gives_no_polygons():
    nothing = np.zeros((5, 4), np.uint8)
    for crs in (UTM, CRS.from_epsg(4326).to_wkt(version="WKT2_2019")):
        found = polygons_of(nothing, np.full((5, 4), 255, np.uint8), simplify_px=1.0, grid=grid_of(nothing, crs=crs))
        assert [len(column) for column in (found.values, found.geometry, found.area_m2, found.confidence)] == [0] * 4


def test_a_value_outside_the_legend_is_refused():
    with pytest.raises(InputError, match="value 77 is not in the legend"):
        polygons_of(np.full((3, 3), 77, np.uint8))


def test_checkerboard_regions_do_not_touch_themselves():
    classes = (np.indices((20, 20)).sum(axis=0) % 2 + 1).astype(np.uint8)
    found = polygons_of(classes)
    assert len(found.values) == 400
    assert shapely.is_valid(found.geometry).all()


@settings(max_examples=60, deadline=None)
@given(rasters, st.sampled_from([0.0, 1.0]), st.sampled_from(sorted(TRANSFORMS)))
def test_polygons_are_valid_oriented_and_ordered_on_any_grid(classes, tolerance, kind):
    found = polygons_of(classes, grid=grid_of(classes, TRANSFORMS[kind]), simplify_px=tolerance)
    assert shapely.is_valid(found.geometry).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(found.geometry)).all()
    holes = shapely.get_rings(found.geometry[shapely.get_num_interior_rings(found.geometry) > 0])
    assert shapely.is_ccw(holes).sum() == (shapely.get_num_interior_rings(found.geometry) > 0).sum()
    pixel = abs(TRANSFORMS[kind].determinant)
    assert ((classes != 0).sum() * pixel) == pytest.approx(found.area_m2.sum(), abs=1e-5) or tolerance


def test_polygons_lie_where_the_transform_puts_their_pixels():
    classes = np.zeros((4, 6), np.uint8)
    classes[1, 2] = 1
    for transform in TRANSFORMS.values():
        (polygon,) = polygons_of(classes, grid=grid_of(classes, transform)).geometry
        corners = [transform @ place for place in ((2, 1), (3, 1), (3, 2), (2, 2))]
        assert shapely.equals_exact(polygon, shapely.Polygon(corners), tolerance=1e-6, normalize=True)
