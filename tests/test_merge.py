"""Maps of neighbouring ground become the map of the whole."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.vector.joining import join_polygons
from tests.maps_to_merge import PIXEL, PLACE, blobs, tiles, traced


def joined(parts, tolerance=0.02 * PIXEL, **how):
    """Join the polygons of tiles without any files."""
    maps = [traced(part, place, **how)[1] for part, place in parts]
    source = np.repeat(np.arange(len(maps)), [len(one.values) for one in maps])
    geometry, values = (np.concatenate([getattr(one, name) for one in maps]) for name in ("geometry", "values"))
    return join_polygons(geometry, values, source, tolerance)


def assert_same_map(result, whole, allowed=1e-6):
    assert shapely.is_valid(result.geometry).all()
    assert set(shapely.get_type_id(result.geometry)) <= {shapely.GeometryType.POLYGON}
    for value in range(1, 6):
        mine, theirs = result.geometry[result.values == value], whole.geometry[whole.values == value]
        assert len(mine) == len(theirs)
        assert shapely.symmetric_difference(shapely.union_all(mine), shapely.union_all(theirs)).area <= allowed


def overlap_of(geometry):
    return shapely.area(geometry).sum() - shapely.union_all(geometry).area


@pytest.mark.parametrize("seed", range(3))
def test_four_tiles_give_the_map_of_the_whole(seed):
    classes = blobs(seed)
    result = joined(tiles(classes, [40], [55]))
    whole = traced(classes)[1]
    assert_same_map(result, whole)
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)
    # vertex by vertex, too: seams leave nothing behind
    assert shapely.get_num_coordinates(result.geometry).sum() == shapely.get_num_coordinates(whole.geometry).sum()
    assert shapely.coverage_is_valid(result.geometry)


@settings(max_examples=40)
@given(st.data())
def test_any_tiles_give_the_map_of_the_whole(data):
    height, width = data.draw(st.integers(2, 9)), data.draw(st.integers(2, 9))
    values = st.lists(st.integers(0, data.draw(st.integers(1, 4))), min_size=height * width, max_size=height * width)
    classes = np.array(data.draw(values), np.uint8).reshape(height, width)
    rows = sorted(data.draw(st.sets(st.integers(1, height - 1), max_size=3)))
    cols = sorted(data.draw(st.sets(st.integers(1, width - 1), max_size=3)))
    drift = data.draw(st.sampled_from([0.0, 0.005]))
    result = joined(tiles(classes, rows, cols, drift=drift, seed=data.draw(st.integers(0, 99))))
    assert_same_map(result, traced(classes)[1], 1e-6 if not drift else 0.03 * PIXEL**2 * height * width)
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_tiles_that_drift_by_a_hundredth_of_a_pixel_leave_no_slivers(seed):
    classes = blobs(seed + 10)
    result = joined(tiles(classes, [30, 60], [35, 70], drift=0.005, seed=seed))
    whole = traced(classes)[1]
    assert_same_map(result, whole, 0.01 * PIXEL * whole.perimeter_m.sum())
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)
    assert shapely.coverage_is_valid(result.geometry)
    assert shapely.hausdorff_distance(
        shapely.union_all(shapely.boundary(result.geometry)), shapely.union_all(shapely.boundary(whole.geometry))
    ) < 0.03 * PIXEL  # fmt: skip


def test_tiles_that_overlap_give_the_map_of_the_whole():
    classes = blobs(4)
    result = joined(tiles(classes, [40], [50], overlap=6))
    assert_same_map(result, traced(classes)[1])


def test_simplified_tiles_give_as_many_polygons():
    classes = blobs(5)
    result = joined(tiles(classes, [40], [50]), simplify_px=0.75)
    whole = traced(classes, simplify_px=0.75)[1]
    assert np.bincount(result.values).tolist() == np.bincount(whole.values).tolist()
    assert shapely.is_valid(result.geometry).all()
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)


def test_a_river_across_twenty_tiles_is_one():
    classes = np.full((8, 200), 5, np.uint8)
    classes[3:5] = 3
    result = joined(tiles(classes, [], range(10, 200, 10)))
    assert np.bincount(result.values).tolist() == [0, 0, 0, 1, 0, 2]
    assert len(result.part) == 60


def test_a_hole_across_the_seam_stays():
    classes = np.ones((9, 9), np.uint8)
    classes[3:6, 3:6] = 0
    result = joined(tiles(classes, [], [4]))
    (polygon,) = result.geometry
    assert len(polygon.interiors) == 1
    assert polygon.area == pytest.approx(72 * PIXEL**2)


def test_corners_that_touch_across_the_seam_stay_apart():
    classes = np.array([[1, 0], [0, 1]], np.uint8)
    for drift in (0.0, 0.005):
        assert len(joined(tiles(classes, [1], [1], drift=drift)).geometry) == 2


def test_what_was_split_on_purpose_stays_apart():
    classes = np.full((8, 8), 3, np.uint8)
    parts = [
        traced(classes, PLACE, split_px=4)[1].geometry,
        traced(classes, PLACE @ Affine.translation(40, 0))[1].geometry,
    ]
    geometry = np.concatenate(parts)
    source = np.repeat([0, 1], [len(part) for part in parts])
    assert len(join_polygons(geometry, np.full(len(geometry), 3, np.uint8), source, 0.01).geometry) == 5
    twice = np.concatenate([parts[0], parts[0]])
    result = join_polygons(twice, np.full(8, 3, np.uint8), np.repeat([0, 1], 4), 0.01)
    assert len(result.geometry) == 4


def test_the_order_of_the_inputs_changes_no_geometry():
    parts = list(tiles(blobs(7), [40], [50], drift=0.005))
    one, other = joined(parts), joined(parts[::-1])
    assert one.values.tolist() == other.values.tolist()
    assert shapely.equals_exact(shapely.normalize(one.geometry), shapely.normalize(other.geometry), 1e-9).all()


def test_the_input_named_first_wins():
    first, second = np.full((6, 6), 1, np.uint8), np.full((6, 6), 5, np.uint8)
    shifted = PLACE @ Affine.translation(3, 0)
    for parts, sizes in (([(first, PLACE), (second, shifted)], {1: 36, 5: 18}),
                         ([(second, shifted), (first, PLACE)], {1: 18, 5: 36})):  # fmt: skip
        result = joined(parts)
        found = {int(v): a / PIXEL**2 for v, a in zip(result.values, shapely.area(result.geometry), strict=True)}
        assert found == pytest.approx(sizes)
        assert result.cut == 1
        assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(-4, 4), st.integers(-4, 4))
def test_maps_that_contradict_each_other_become_one_map(seed, rows, cols):
    random = np.random.default_rng(seed)
    maps = random.integers(0, 4, (3, 5, 6)).astype(np.uint8)
    places = [(4, 4), (4 + rows, 4 + cols), (4 + cols, 4 - rows)]
    canvas = np.zeros((14, 15), np.uint8)
    for one, (row, col) in reversed(list(zip(maps, places, strict=True))):
        under = canvas[row : row + 5, col : col + 6]
        under[one > 0] = one[one > 0]
    result = joined([(one, PLACE @ Affine.translation(col, row)) for one, (row, col) in zip(maps, places, strict=True)])
    whole = traced(canvas)[1]
    assert shapely.is_valid(result.geometry).all()
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)
    for value in range(1, 4):
        mine, theirs = (shapely.union_all(one.geometry[one.values == value]) for one in (result, whole))
        assert shapely.symmetric_difference(mine, theirs).area == pytest.approx(0, abs=1e-6)


def test_nothing_to_join():
    empty = join_polygons(np.empty(0, object), np.empty(0, np.uint8), np.empty(0, np.intp), 0.1)
    assert len(empty.geometry) == len(empty.part) == 0


def test_what_is_apart_is_passed_on_as_it_is():
    boxes = shapely.box(np.array([0.0, 10, 20]), 0, np.array([1.0, 11, 21]), 1)
    result = join_polygons(boxes, np.array([1, 1, 1], np.uint8), np.array([0, 1, 0]), 0.1)
    assert not result.anew.any()
    assert {shape.wkt for shape in result.geometry} == {shape.wkt for shape in boxes}
