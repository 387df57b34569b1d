"""Rounded outlines: smoother, in a map that stays whole."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_squaring import BUILDING, LAND, assert_whole, corner_angles, coverage_of, drawn, in_pixels, town, turned
from tests.traced_maps import polygons_of

SQUARE = shapely.box(30, 30, 90, 90)


def test_the_corners_of_a_square_are_cut_a_little():
    truth = turned(SQUARE, 20)
    (found,) = polygons_of(drawn(truth), simplify_px=2.0, smooth=True).of_class(BUILDING).geometry
    (plain,) = polygons_of(drawn(truth), simplify_px=2.0).of_class(BUILDING).geometry
    assert len(corner_angles(found)) == 2 * len(corner_angles(plain))
    assert corner_angles(found).max() < 0.7 * corner_angles(plain).max()
    assert in_pixels(found).symmetric_difference(in_pixels(plain)).area < 4 * 2.1
    assert in_pixels(found).hausdorff_distance(in_pixels(plain)) < 1.5


def test_the_frame_and_nodes_stay():
    classes = np.full((60, 60), LAND, np.uint8)
    classes[:30, :30] = 2
    plain, found = (polygons_of(classes, simplify_px=0.75, smooth=rounds) for rounds in (False, True))
    assert shapely.area(found.geometry).sum() == classes.size * 0.25
    nodes = {(300_000.0, 2_799_985.0), (300_015.0, 2_800_000.0)}
    for polygons in (plain, found):
        for polygon in polygons.geometry:
            assert nodes <= set(polygon.exterior.coords)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("square", [None, BUILDING])
def test_a_town_stays_whole(seed, square):
    classes = town(seed)
    found = polygons_of(classes, simplify_px=0.75, smooth=True, to_square=square, belt=64)
    assert_whole(classes, found)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(2, 50), st.integers(2, 50)),
    belt=st.sampled_from([3, 16, 64]),
    simplify_px=st.sampled_from([0.0, 0.75, 3.0]),
)
def test_noise_stays_a_coverage(seed, size, belt, simplify_px):
    classes = np.random.default_rng(seed).integers(1, 5, size, np.uint8)
    found = polygons_of(classes, simplify_px=simplify_px, smooth=True, belt=belt)
    assert_whole(classes, found)
    assert len(found.values) == len(polygons_of(classes).values)


def test_strips_and_threads_change_nothing():
    classes = town(5)
    whole = [p.wkb for p in coverage_of(classes, belt=64, smooth=True).geometry]
    for strip, threads in ((1, 1), (37, 2)):
        assert [
            p.wkb for p in coverage_of(classes, belt=64, smooth=True, strip=strip, threads=threads).geometry
        ] == whole
