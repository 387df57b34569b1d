"""Small regions go to their neighbours, whatever the strips."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.features
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.vector.sieve import least_pixels
from tests.oracles import sieved
from tests.traced_maps import blobs, polygons_of, rasters, sieve_whole


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
