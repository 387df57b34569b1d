"""Polygons cover every pixel once, at every tolerance, and measure what the ground measures."""

from dataclasses import replace

import numpy as np
import pyproj
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.crs import CRS

from geoseg.errors import InputError
from geoseg.vector.burn import final_classes, sums_inside
from geoseg.vector.measure import Ruler, ground_pixel_area_m2
from geoseg.vector.polygonize import polygonize
from geoseg.vector.rings import Rings
from geoseg.vector.sieve import least_pixels, sieve
from geoseg.vector.simplify import simplify
from geoseg.vector.trace import trace
from geoseg.vocabulary import DEFAULT_LEGEND, Grid

UTM = CRS.from_epsg(32640).to_wkt(version="WKT2_2019")
KEEP = dict.fromkeys(range(1, 6), 0.0)

TRANSFORMS = {
    "north-up": Affine(0.5, 0, 300_000, 0, -0.5, 2_800_000),
    "south-up": Affine(0.5, 0, 300_000, 0, 0.5, 2_800_000),
    "rotated": Affine.translation(300_000, 2_800_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.25),
}


def grid_of(classes, transform=TRANSFORMS["north-up"], crs=UTM):
    return Grid(crs, transform, *classes.shape)


def polygons_of(classes, confidence=None, *, grid=None, min_area_m2=KEEP, simplify_px=0.0):
    return polygonize(
        classes,
        confidence,
        grid=grid or grid_of(classes),
        legend=DEFAULT_LEGEND,
        min_area_m2=min_area_m2,
        simplify_px=simplify_px,
    )


def blobs(seed, height=96, width=80, classes=4):
    """Classes with wobbly borders and islands, as a network makes them."""
    rng = np.random.default_rng(seed)
    fields = rng.normal(size=(classes, height, width))
    for axis in (1, 2):
        for shift in (1, 2, 4):
            fields = fields + np.roll(fields, shift, axis=axis)
    return fields.argmax(axis=0).astype(np.uint8)


sides = st.integers(1, 9)
rasters = st.tuples(sides, sides).flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 3)))
tolerances = st.sampled_from([0.0, 0.75, 1.0, 1.5, 3.0, 10.0])


# --- every pixel lies in exactly one face


@settings(max_examples=150, deadline=None)
@given(rasters, tolerances)
def test_faces_are_a_valid_coverage_of_the_whole_frame_at_any_tolerance(classes, tolerance):
    height, width = classes.shape
    faces, values = trace(classes)
    simple = simplify(faces, tolerance, classes.shape)
    assert len(simple) == len(faces) == len(values)
    assert shapely.is_valid(simple).all()
    assert shapely.coverage_is_valid(simple)
    frame = shapely.box(0, 0, width, height)
    assert shapely.area(simple).sum() == pytest.approx(frame.area)
    assert shapely.equals(shapely.union_all(simple), frame)


@pytest.mark.parametrize("tolerance", [0.0, 0.75, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_wobbly_regions_stay_a_valid_coverage(seed, tolerance):
    classes = blobs(seed)
    faces, _ = trace(classes)
    simple = simplify(faces, tolerance, classes.shape)
    assert shapely.is_valid(simple).all()
    assert shapely.coverage_is_valid(simple)
    assert shapely.area(simple).sum() == classes.size
    if tolerance:
        assert shapely.get_num_coordinates(simple).sum() < 0.6 * shapely.get_num_coordinates(faces).sum()


@settings(max_examples=20, deadline=None)
@given(rasters, st.integers(2, 53), tolerances)
def test_long_straight_borders_meet_exactly(classes, size, tolerance):
    large = np.kron(classes[:4, :4], np.ones((size, size), np.uint8))
    simple = simplify(trace(large)[0], tolerance, large.shape)
    assert shapely.coverage_is_valid(simple)
    assert shapely.area(simple).sum() == large.size


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
    one, two, three = polygons_of(classes).geometry
    assert shapely.get_num_coordinates(one) == 6  # four corners, the place where 2 meets 3, and the closing one
    assert shapely.get_num_coordinates(two) == shapely.get_num_coordinates(three) == 5


def test_one_class_alone_is_one_rectangle():
    found = polygons_of(np.full((300, 200), 3, np.uint8), simplify_px=1.0)
    assert shapely.get_num_coordinates(found.geometry).tolist() == [5]
    assert found.area_m2.tolist() == [300 * 200 * 0.25]
    assert found.perimeter_m.tolist() == [500.0]


def test_nothing_but_nodata_gives_no_polygons():
    found = polygons_of(np.zeros((5, 4), np.uint8), np.full((5, 4), 255, np.uint8), simplify_px=1.0)
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
    assert (np.diff(found.values.astype(int)) >= 0).all()
    pixel = 0.125 if kind == "rotated" else 0.25
    assert ((classes != 0).sum() * pixel) == pytest.approx(found.area_m2.sum(), abs=1e-5) or tolerance


def test_polygons_lie_where_the_transform_puts_their_pixels():
    classes = np.zeros((4, 6), np.uint8)
    classes[1, 2] = 1
    for transform in TRANSFORMS.values():
        (polygon,) = polygons_of(classes, grid=grid_of(classes, transform)).geometry
        corners = [transform @ place for place in ((2, 1), (3, 1), (3, 2), (2, 2))]
        assert shapely.equals_exact(polygon, shapely.Polygon(corners), tolerance=1e-6, normalize=True)


# --- burning polygons back


@settings(max_examples=100, deadline=None)
@given(rasters, tolerances, st.sampled_from(sorted(TRANSFORMS)))
def test_burning_back_leaves_no_pixel_out_and_invents_none(classes, tolerance, kind):
    grid = grid_of(classes, TRANSFORMS[kind])
    burnt = final_classes(polygons_of(classes, grid=grid, simplify_px=tolerance), grid)
    assert burnt.dtype == np.uint8
    assert set(np.unique(burnt)) <= set(np.unique(classes))
    if tolerance == 0:
        np.testing.assert_array_equal(burnt, classes)
    if (classes != 0).all():
        assert (burnt != 0).all()


@pytest.mark.parametrize("kind", sorted(TRANSFORMS))
def test_burning_back_agrees_with_gdal_where_no_edge_meets_a_pixel_centre(kind):
    classes = blobs(5) + np.uint8(1)
    grid = grid_of(classes, TRANSFORMS[kind])
    found = polygons_of(classes, grid=grid, simplify_px=1.5)
    nudged = shapely.transform(found.geometry, lambda xy: xy + np.array([0.0137, 0.0071]))
    in_pixels = shapely.transform(nudged, lambda xy: np.column_stack(~grid.transform @ tuple(xy.T)))
    pairs = zip(in_pixels, found.values.tolist(), strict=True)
    gdal = rasterio.features.rasterize(pairs, classes.shape, dtype="uint8")
    burnt = final_classes(replace(found, geometry=nudged), grid)
    np.testing.assert_array_equal(burnt, gdal)
    assert (burnt == classes).mean() > 0.9


# --- small regions


def test_least_pixels_are_never_under_four_unless_everything_is_kept():
    assert least_pixels({1: 10, 2: 0.1, 3: 0, 4: 0.25}, 0.25) == {1: 40, 2: 4, 3: 0, 4: 4}


def assert_nothing_small_is_left(classes, least):
    """Every region is large enough for its class, or has no neighbour but nodata and the frame."""
    for polygon, value in rasterio.features.shapes(classes, connectivity=4):
        inside = rasterio.features.geometry_mask([polygon], classes.shape, transform=Affine.identity(), invert=True)
        if value and inside.sum() < least.get(int(value), 0):
            padded = np.pad(inside, 1)
            around = padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
            assert not classes[around & ~inside].any()


@settings(max_examples=300, deadline=None)
@given(rasters, st.dictionaries(st.integers(1, 3), st.integers(0, 40)))
def test_no_region_below_its_classs_minimum_is_left_beside_another(classes, least):
    before = classes.copy()
    kept = sieve(classes, least)
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(classes, before)
    np.testing.assert_array_equal(kept == 0, classes == 0)
    assert_nothing_small_is_left(kept, least)
    np.testing.assert_array_equal(sieve(kept, least), kept)


@pytest.mark.parametrize("least", [{1: 100, 2: 500, 3: 50, 4: 25}, {1: 500, 4: 4}, {2: 3000}])
@pytest.mark.parametrize("seed", range(2))
def test_large_and_unlike_minimums_leave_nothing_small(seed, least):
    classes = blobs(seed, classes=5)
    kept = sieve(classes, least)
    np.testing.assert_array_equal(kept == 0, classes == 0)
    assert_nothing_small_is_left(kept, least)


@settings(max_examples=100, deadline=None)
@given(rasters, st.integers(2, 12))
def test_large_regions_keep_their_pixels(classes, pixels):
    kept = sieve(classes, dict.fromkeys(range(1, 4), pixels))
    for polygon, _ in rasterio.features.shapes(classes, connectivity=4):
        inside = rasterio.features.geometry_mask([polygon], classes.shape, transform=Affine.identity(), invert=True)
        if inside.sum() >= pixels:
            assert (kept[inside] == classes[inside]).all()


def test_a_small_region_takes_the_class_of_its_largest_neighbour_and_of_equal_ones_the_first():
    classes = np.array([[1] * 6 + [3] + [2] * 7], np.uint8)
    np.testing.assert_array_equal(sieve(classes, {3: 4}), [[1] * 6 + [2] * 8])
    np.testing.assert_array_equal(sieve(classes[:, :-1], {3: 4}), [[1] * 7 + [2] * 6])


def test_a_row_of_equal_small_regions_takes_few_rounds():
    classes = np.tile(np.array([1, 2], np.uint8), (1, 50_000))
    kept = sieve(classes, {1: 40, 2: 40})
    assert np.diff(np.flatnonzero(np.diff(kept[0]))).min() >= 40


@settings(max_examples=60, deadline=None)
@given(rasters)
def test_a_sieve_of_nothing_changes_nothing_and_nodata_never_moves(classes):
    np.testing.assert_array_equal(sieve(classes, dict.fromkeys(range(1, 6), 0)), classes)
    np.testing.assert_array_equal(sieve(classes, {1: 3, 2: 50, 3: 5}) == 0, classes == 0)


def test_each_class_has_its_own_threshold():
    classes = np.full((20, 20), 5, np.uint8)
    classes[2:4, 2:5] = 1  # 6 px, kept
    classes[10:12, 2:5] = 2  # 6 px, too small for a road
    classes[16, 16] = 3  # 1 px of a class without threshold
    found = polygons_of(classes, min_area_m2={1: 1.5, 2: 10.0, 5: 10.0})
    assert found.values.tolist() == [1, 3, 5]
    assert found.area_m2.tolist() == [1.5, 0.25, 100 - 1.75]


# --- measures


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


def test_sums_inside_counts_the_pixels_of_holes_nowhere():
    classes = np.full((7, 9), 1, np.uint8)
    classes[2:5, 3:6] = 2
    faces, values = trace(classes)
    sums = sums_inside(faces, np.ones((7, 9), np.uint8))
    assert dict(zip(values.tolist(), sums.tolist(), strict=True)) == {1: 54, 2: 9}


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
    assert ground_pixel_area_m2(grid) * 100 == pytest.approx(found.area_m2[0], rel=1e-5)


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
    faces, _ = trace(blobs(1))
    assert shapely.equals_exact(Rings.of(faces).polygons(), faces).all()
