"""Maps that tracers get wrong: regions that touch themselves, seams in awkward places, amounts beyond 32 bits."""

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.vector.belts import HEIGHT, belts
from geoseg.vector.faces import Faces
from geoseg.vector.runs import Runs
from geoseg.vector.sieve import sieve
from geoseg.vector.trace import trace
from tests.oracles import classes_of, gdal_faces, outlines_of, regions_of
from tests.traced_maps import TRANSFORMS, blobs, grid_of, polygons_of, sieve_whole

BELTS = [1, 2, 3, 5, 64]
PIXELS = Affine.identity()


def drawn(text):
    """Return classes from lines of digits."""
    return np.array([[int(digit) for digit in line] for line in text.split()], np.uint8)


def assert_like_gdal(classes, *, belt, tolerance=0.0):
    """Compare with GDAL where nothing is simplified; polygons are valid and complete at any tolerance."""
    found = polygons_of(classes, belt=belt, simplify_px=tolerance, grid=grid_of(classes, PIXELS))
    assert shapely.is_valid(found.geometry).all()
    assert shapely.coverage_is_valid(found.geometry)
    faces, values = gdal_faces(classes)
    faces, values = faces[values > 0], values[values > 0]
    assert sorted(found.values) == sorted(values)
    if tolerance == 0:
        assert outlines_of(found.geometry, found.values) == outlines_of(faces, values)
    return found


# --- regions that touch themselves or each other in odd places

ODD = {
    "island in hole in island": "1111111 1222221 1211121 1213121 1211121 1222221 1111111",
    "islands around nodata": "1111111 1000001 1022201 1020201 1022201 1000001 1111111",
    "hole touching the exterior in a point": "11110 12110 11011 11111",
    "hole touching the frame's corner": "01111 10111 11111 11111",
    "two holes touching in a point": "11111 12111 11311 11111",
    "holes in a row that touch": "1111111 1212121 1121211 1212121 1111111",
    "ring closed only through a corner": "2222 2112 2121 2212 2222",
    "a comb": "1212121 1212121 1212121 1111111",
    "one row": "1122300",
    "one column": "1 1 2 3 3 0",
    "one pixel": "4",
    "four classes at a corner": "1122 1122 3344 3344",
}


@pytest.mark.parametrize("belt", BELTS)
@pytest.mark.parametrize("name", ODD)
def test_odd_regions_are_those_of_gdal_wherever_belts_begin(name, belt):
    for classes in (drawn(ODD[name]), drawn(ODD[name]).T.copy()):
        assert_like_gdal(classes, belt=belt)
        assert_like_gdal(classes, belt=belt, tolerance=1.0)


@pytest.mark.parametrize("belt", BELTS)
def test_an_island_in_a_hole_in_an_island_has_one_exterior_each(belt):
    found = polygons_of(drawn(ODD["island in hole in island"]), belt=belt)
    order = np.lexsort((-found.area_m2, found.values))
    assert found.values[order].tolist() == [1, 1, 2, 3]
    assert shapely.get_num_interior_rings(found.geometry[order]).tolist() == [1, 1, 1, 0]
    assert found.area_m2[order].tolist() == [24 * 0.25, 8 * 0.25, 16 * 0.25, 0.25]


@pytest.mark.parametrize("belt", BELTS)
def test_a_hole_that_touches_the_exterior_in_a_point_stays_a_hole(belt):
    found = polygons_of(drawn("1111 1211 1101 1111"), belt=belt, grid=grid_of(np.ones((4, 4)), PIXELS))
    (outer,) = found.geometry[found.values == 1]
    assert shapely.get_num_interior_rings(outer) == 2
    assert shapely.area(outer) == 14
    assert shapely.is_valid(outer)


@pytest.mark.parametrize("belt", [1, 2, 7, 8, 64])
@pytest.mark.parametrize("tolerance", [0.0, 1.0])
def test_a_checkerboard_has_a_polygon_for_each_pixel_at_any_seam(belt, tolerance):
    classes = (np.indices((16, 13)).sum(axis=0) % 2 + 1).astype(np.uint8)
    found = assert_like_gdal(classes, belt=belt, tolerance=tolerance)
    assert len(found.values) == classes.size
    if tolerance == 0:
        assert set(found.area_m2) == {1.0}


@pytest.mark.parametrize("belt", BELTS)
@pytest.mark.parametrize("shape", [(90, 40), (1, 90), (90, 1), (64, 64), (65, 3)])
def test_one_class_is_one_rectangle_without_a_trace_of_seams(shape, belt):
    found = polygons_of(np.full(shape, 3, np.uint8), belt=belt, simplify_px=1.0)
    assert shapely.get_num_coordinates(found.geometry).tolist() == [5]
    assert found.area_m2.tolist() == [shape[0] * shape[1] * 0.25]


def test_a_spiral_crosses_every_belt_and_is_one_polygon():
    classes = np.ones((31, 31), np.uint8)
    row, col, length = 0, 0, 30
    classes[row, col] = 2
    for turn, step in enumerate([(0, 1), (1, 0), (0, -1), (-1, 0)] * 8):
        for _ in range(length):
            row, col = row + step[0], col + step[1]
            classes[row, col] = 2
        length -= 2 if turn % 2 == 0 and turn > 0 else 0
    assert regions_of(classes)[1] == 2
    for belt in BELTS:
        for tolerance in (0.0, 0.75):
            found = assert_like_gdal(classes, belt=belt, tolerance=tolerance)
            assert sorted(found.values) == [1, 2]


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 5.0])
def test_the_place_where_three_classes_meet_on_a_seam_stays_where_it_is(tolerance):
    classes = np.ones((16, 16), np.uint8)
    classes[8:] = 2
    classes[8:, 8:] = 3
    found = polygons_of(classes, belt=8, simplify_px=tolerance, grid=grid_of(classes, PIXELS))
    for polygon in found.geometry:
        assert [8.0, 8.0] in shapely.get_coordinates(polygon).tolist()


@pytest.mark.parametrize("belt", [None, 7, 32])
@pytest.mark.parametrize("tolerance", [0.0, 0.75, 3.0, 5.0])
def test_borders_with_nodata_are_drawn_like_any_other(belt, tolerance):
    """Nodata is a face that is not written; its borders are shared, so its neighbours do not know what it is."""
    classes = blobs(4, classes=5)
    classes[10:40, 20:50] = 0
    unseen = polygons_of(classes, belt=belt, simplify_px=tolerance)
    named = polygons_of(np.where(classes == 0, 5, classes).astype(np.uint8), belt=belt, simplify_px=tolerance)
    others = named.values != 5
    assert 0 < len(unseen.values) == others.sum() < len(named.values)
    assert outlines_of(unseen.geometry, unseen.values) == outlines_of(named.geometry[others], named.values[others])


@pytest.mark.parametrize("tolerance", [0.75, 5.0])
def test_the_corners_of_the_frame_are_not_rounded(tolerance):
    classes = np.full((9, 12), 1, np.uint8)
    classes[3:, 5:] = 2
    found = polygons_of(classes, simplify_px=tolerance, belt=4, grid=grid_of(classes, PIXELS))
    corners = {(0.0, 0.0), (12.0, 0.0), (12.0, 9.0), (0.0, 9.0)}
    assert corners <= set(map(tuple, shapely.get_coordinates(found.geometry).tolist()))


# --- small regions are connected as polygons are


def test_regions_that_touch_at_corners_are_apart_for_the_sieve_and_for_polygons():
    classes = np.full((12, 12), 2, np.uint8)
    np.fill_diagonal(classes[2:10, 2:10], 1)  # eight pixels in a slanting row
    assert (polygons_of(classes).values == 1).sum() == 8
    for least in (2, 8):
        assert not (sieve_whole(classes, {1: least}) == 1).any()
    assert (sieve_whole(classes, {1: 1}) == classes).all()


@pytest.mark.parametrize("seed", range(3))
def test_after_the_sieve_there_is_a_polygon_for_each_region_and_no_new_class(seed):
    classes = np.random.default_rng(seed).choice(np.array([0, 1, 2, 5], np.uint8), (40, 30))
    least = {1: 9, 2: 14, 5: 4}
    kept = sieve_whole(classes, least, 7)
    assert set(np.unique(kept)) <= {0, 1, 2, 5}
    found = polygons_of(classes, min_area_m2={value: pixels * 0.25 for value, pixels in least.items()}, belt=16)
    regions, count = regions_of(kept)
    values = [int(kept[regions == region][0]) for region in range(count)]
    assert sorted(found.values.tolist()) == sorted(value for value in values if value)
    assert {value: found.of_class(value).area_m2.sum() for value in (1, 2, 5)} == {
        value: (kept == value).sum() * 0.25 for value in (1, 2, 5)
    }


def test_two_small_regions_side_by_side_settle_the_same_from_any_strips():
    classes = np.full((10, 10), 4, np.uint8)
    classes[4:6, 3:5], classes[4:6, 5:7] = 1, 2  # equally small, and each other's neighbours
    for strip in (1, 3, 5, 10):
        assert (sieve_whole(classes, {1: 5, 2: 5}, strip) == 4).all()
    only = np.array([[1, 2, 3], [2, 3, 1], [3, 1, 2]], np.uint8)  # nothing else is there to go to
    kept = [sieve_whole(only, {1: 9, 2: 9, 3: 9}, strip) for strip in (1, 2, 3)]
    assert len(np.unique(kept[0])) == 1
    assert (kept[0] == kept[1]).all()
    assert (kept[0] == kept[2]).all()


# --- more than 32 bits


def huge_square(size, margin, percent=90):
    """Yield strips of ``size`` rows and columns, class 2 inside a margin of class 1, without making their pixels."""
    for row in range(0, size, HEIGHT):
        rows = range(row, min(row + HEIGHT, size))
        inside = [margin <= r < size - margin for r in rows]
        starts = [[0, margin, size - margin] if within else [0] for within in inside]
        values = [[1, 2, 1] if within else [1] for within in inside]
        lengths = [[margin, size - 2 * margin, margin] if within else [size] for within in inside]
        first = np.cumsum([0, *(len(part) for part in starts)])
        counted = np.concatenate(lengths).astype(np.int64)
        columns = np.concatenate(starts).astype(np.int32), np.concatenate(values).astype(np.uint8)
        yield Runs(size, 0, first, *columns, (counted * percent).astype(np.int32), counted.astype(np.int32))


def test_a_made_up_huge_raster_is_what_runs_make_of_pixels():
    classes = np.ones((9, 9), np.uint8)
    classes[2:7, 2:7] = 2
    (made,) = huge_square(9, 2)
    real = Runs.of(classes, np.full((9, 9), 90, np.uint8))
    for name in ("first", "starts", "values", "percents", "counted"):
        np.testing.assert_array_equal(getattr(made, name), getattr(real, name))
        assert getattr(made, name).dtype == getattr(real, name).dtype
    np.testing.assert_array_equal(classes_of(made), classes)


def test_regions_of_more_than_two_thousand_million_pixels_keep_their_rings_and_counts():
    size, margin = 60_000, 5_000
    inner = (size - 2 * margin) ** 2
    assert inner > 2**31
    faces, batches = Faces(), []
    pixels = percents = 0
    for belt in belts(huge_square(size, margin)):
        traced = trace(belt, 0.0)
        pixels += int(traced.counted.sum())
        percents += int(traced.percents.sum())
        batches.append(faces.add(traced))
    assert (pixels, percents) == (size**2, size**2 * 90)
    finished = [batch for batch in batches if len(batch.values)]
    values = np.concatenate([batch.values for batch in finished])
    shapes = np.concatenate([batch.outlines.polygons(PIXELS) for batch in finished])
    confidence = np.concatenate([batch.confidence for batch in finished])
    assert sorted(values) == [1, 2]
    assert confidence.tolist() == [0.9, 0.9]
    assert shapely.is_valid(shapes).all()
    assert dict(zip(values.tolist(), shapely.area(shapes).tolist(), strict=True)) == {1: size**2 - inner, 2: inner}


@pytest.mark.parametrize(("least", "left"), [(2_400_000_000, [1, 2]), (2_600_000_000, [1])])
def test_the_sieve_counts_beyond_two_thousand_million(least, left):
    kept = sieve(huge_square(60_000, 5_000), {2: least})  # 2.5e9 pixels
    assert sorted({value for rows in kept for value in np.unique(rows.values).tolist()}) == left


def test_sums_of_one_face_do_not_overflow_when_belts_meet():
    """Every belt brings nearly all that 32 bits can hold; the mean is right only in 64."""
    faces, most = Faces(), 2**31 - 2
    strips = [Runs.of(np.ones((1, 4), np.uint8)) for _ in range(6)]
    strips = [Runs(4, 0, s.first, s.starts, s.values, np.array([most]), np.array([most // 50])) for s in strips]
    finished = [faces.add(trace(belt, 0.0)) for belt in belts(strips, 1)]
    assert finished[-1].confidence.tolist() == pytest.approx([0.5])


# --- on the ground


@pytest.mark.parametrize("kind", ["north-up", "south-up", "rotated", "sheared", "west-up"])
@pytest.mark.parametrize("place", [(55.3, 25.2), (10.7, 67.0), (-70.0, -33.0)])
def test_degrees_are_measured_as_geod_measures_them(kind, place):
    classes = blobs(2, height=30, width=24) + np.uint8(1)
    classes[4:14, 4:14], classes[7:9, 7:9] = 1, 2
    linear = TRANSFORMS[kind]
    onto = Affine.translation(*place) @ Affine.scale(2e-5) @ Affine(linear.a, linear.b, 0, linear.d, linear.e, 0)
    crs = CRS.from_epsg(4326).to_wkt(version="WKT2_2019")
    found = polygons_of(classes, grid=grid_of(classes, onto, crs))
    assert (shapely.get_num_interior_rings(found.geometry) > 0).any()
    geod = pyproj.Geod(ellps="WGS84")
    areas = [geod.geometry_area_perimeter(polygon)[0] for polygon in shapely.orient_polygons(found.geometry)]
    lengths = [geod.geometry_length(polygon.boundary) for polygon in found.geometry]  # holes included
    np.testing.assert_allclose(found.area_m2, areas, rtol=1e-6, atol=1e-4)  # pyproj rounds at such areas
    np.testing.assert_allclose(found.perimeter_m, lengths, rtol=1e-6)
