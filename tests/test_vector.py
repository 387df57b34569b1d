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
from geoseg.vector.belts import belts
from geoseg.vector.burn import final_rows
from geoseg.vector.measure import Ruler, ground_pixel_area_m2
from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vector.rings import Rings
from geoseg.vector.runs import Runs
from geoseg.vector.sieve import least_pixels, sieve
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Polygons
from tests.oracles import classes_of, gdal_faces, outlines_of, polygons_of_rings, sieved

UTM = CRS.from_epsg(32640).to_wkt(version="WKT2_2019")
KEEP = dict.fromkeys(range(1, 6), 0.0)

TRANSFORMS = {
    "north-up": Affine(0.5, 0, 300_000, 0, -0.5, 2_800_000),
    "south-up": Affine(0.5, 0, 300_000, 0, 0.5, 2_800_000),
    "rotated": Affine.translation(300_000, 2_800_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.25),
    "sheared": Affine.translation(300_000, 2_800_000) @ Affine.shear(20, -35) @ Affine.scale(0.5, -0.5),
    "west-up": Affine(-0.5, 0, 300_000, 0, -0.5, 2_800_000),
    "transposed": Affine(0, 0.5, 300_000, 0.25, 0, 2_800_000),
}


def grid_of(classes, transform=TRANSFORMS["north-up"], crs=UTM):
    return Grid(crs, transform, *classes.shape)


def polygons_of(
    classes,
    confidence=None,
    *,
    grid=None,
    min_area_m2=KEEP,
    simplify_px=0.0,
    strip=None,
    belt=None,
    split_px=0,
    smooth=False,
    to_square=None,
    threads=1,
):
    """Return all polygons of a raster that comes in strips, traced in belts of a height of choice."""
    step = strip or len(classes)
    rows = (
        ClassRows(row, classes[row : row + step], None if confidence is None else confidence[row : row + step])
        for row in range(0, len(classes), step)
    )
    with pytest.MonkeyPatch.context() as patch:
        if belt:
            patch.setattr("geoseg.vector.polygonize.belts", lambda strips: belts(strips, belt))
        batches = list(
            polygonize(
                rows,
                grid or grid_of(classes),
                DEFAULT_LEGEND,
                Tracing(min_area_m2, simplify_px, split_px, smooth, to_square, threads),
            )
        )
    return Polygons(*(np.concatenate([getattr(b, name) for b in batches]) for name in Polygons.__slots__))


def sieve_whole(classes, least, step=None):
    step = step or len(classes)
    strips = (Runs.of(classes[row : row + step]) for row in range(0, len(classes), step))
    return np.concatenate([classes_of(rows) for rows in sieve(strips, least)])


def final_classes(polygons, grid):
    return np.concatenate([rows.classes for rows in final_rows([polygons], grid)])


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


# --- neither strips, belts, cells nor threads show


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
    found = polygons_of(classes, grid=grid, simplify_px=1.0)
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


least_by_class = st.dictionaries(st.integers(1, 3), st.integers(0, 40))


@settings(max_examples=150, deadline=None)
@given(rasters, least_by_class, st.integers(1, 9))
def test_the_sieve_is_that_of_the_whole_raster_looked_at_after_every_move(classes, least, strip):
    before = classes.copy()
    np.testing.assert_array_equal(sieve_whole(classes, least, strip), sieved(classes, least))
    np.testing.assert_array_equal(classes, before)


@settings(max_examples=100, deadline=None)
@given(rasters, least_by_class)
def test_no_region_below_its_classs_minimum_is_left_beside_another(classes, least):
    kept = sieve_whole(classes, least)
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept == 0, classes == 0)
    assert_nothing_small_is_left(kept, least)
    np.testing.assert_array_equal(sieve_whole(kept, least), kept)


@pytest.mark.parametrize("least", [{1: 100, 2: 500, 3: 50, 4: 25}, {1: 500, 4: 4}, {2: 3000}])
@pytest.mark.parametrize("seed", range(2))
def test_large_and_unlike_minimums_leave_nothing_small(seed, least):
    classes = blobs(seed, classes=5)
    kept = sieve_whole(classes, least)
    np.testing.assert_array_equal(kept == 0, classes == 0)
    assert_nothing_small_is_left(kept, least)
    for strip in (1, 13, 50):
        np.testing.assert_array_equal(sieve_whole(classes, least, strip), kept)


@settings(max_examples=100, deadline=None)
@given(rasters, st.integers(2, 12))
def test_large_regions_keep_their_pixels(classes, pixels):
    kept = sieve_whole(classes, dict.fromkeys(range(1, 4), pixels))
    for polygon, _ in rasterio.features.shapes(classes, connectivity=4):
        inside = rasterio.features.geometry_mask([polygon], classes.shape, transform=Affine.identity(), invert=True)
        if inside.sum() >= pixels:
            assert (kept[inside] == classes[inside]).all()


def test_a_small_region_takes_the_class_of_its_longest_border_and_of_equal_ones_the_highest():
    classes = np.full((6, 6), 1, np.uint8)
    classes[3:] = 2
    classes[2, 2:4] = 3  # three sides of class 1 and one of class 2, two pixels long
    np.testing.assert_array_equal(sieve_whole(classes, {3: 4})[2], [1] * 6)
    classes[2, 2:4], classes[2:4, 2] = 1, 3
    np.testing.assert_array_equal(sieve_whole(classes, {3: 4})[2:4, 2], [2, 2])


def test_a_row_of_equal_small_regions_is_merged_in_time():
    classes = np.tile(np.array([1, 2], np.uint8), (1, 50_000))
    kept = sieve_whole(classes, {1: 40, 2: 40})
    assert np.diff(np.flatnonzero(np.diff(kept[0]))).min(initial=40) >= 40


@settings(max_examples=60, deadline=None)
@given(rasters)
def test_a_sieve_of_nothing_changes_nothing_and_nodata_never_moves(classes):
    np.testing.assert_array_equal(sieve_whole(classes, dict.fromkeys(range(1, 6), 0)), classes)
    np.testing.assert_array_equal(sieve_whole(classes, {1: 3, 2: 50, 3: 5}) == 0, classes == 0)


def test_each_class_has_its_own_threshold():
    classes = np.full((20, 20), 5, np.uint8)
    classes[2:4, 2:5] = 1  # 6 px, kept
    classes[10:12, 2:5] = 2  # 6 px, too small for a road
    classes[16, 16] = 3  # 1 px of a class without threshold
    found = polygons_of(classes, min_area_m2={1: 1.5, 2: 10.0, 5: 10.0})
    order = np.argsort(found.values)
    assert found.values[order].tolist() == [1, 3, 5]
    assert found.area_m2[order].tolist() == [1.5, 0.25, 100 - 1.75]


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
