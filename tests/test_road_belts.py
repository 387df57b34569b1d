"""Centrelines do not depend on belts, strips, pixels and units, and agree with other programs."""

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.roads.distance import distances
from geoseg.roads.lee import thinned
from geoseg.roads.paths import follow
from geoseg.roads.scale import Scale
from geoseg.roads.trace import Centerlines
from geoseg.vector.runs import Runs
from tests.painted_roads import FEET, ROAD, bytes_of, check_lines, check_network, grid_of, painted, town, traced


@pytest.mark.parametrize("seed", range(3))
def test_belts_leave_no_trace(seed, monkeypatch):
    monkeypatch.setattr("geoseg.roads.thin._WINDOW", 150)
    classes = town(seed=seed)
    whole = traced(classes, belt=100_000)
    check_network(whole.geometry)
    assert len(whole.geometry) > 15
    for belt in (97, 210):
        assert bytes_of(traced(classes, belt=belt)) == bytes_of(whole)


@pytest.mark.parametrize("shift", range(-3, 4))
def test_roads_along_a_seam_leave_no_trace(shift):
    row = 96 + shift
    roads = [
        (shapely.LineString([(0, row), (300, row)]), 6),
        (shapely.LineString([(40, 0), (40, 200)]), 5),
        (shapely.LineString([(90, row - 4), (260, row + 4)]), 9),
        (shapely.Point(150, row).buffer(40).exterior, 5),
        (shapely.LineString([(220, row), (220, 200)]), 4),
    ]
    classes = painted((200, 300), roads)
    whole = traced(classes, belt=100_000)
    check_network(whole.geometry)
    assert bytes_of(traced(classes, belt=96)) == bytes_of(whole)


def test_strips_leave_no_trace():
    classes = town(seed=7)
    expected = traced(classes, belt=128)
    for strip in (1, 37, 200):
        found = traced(classes, belt=128, strip=strip)
        assert shapely.to_wkb(found.geometry).tolist() == shapely.to_wkb(expected.geometry).tolist()
        assert found.width_m.tolist() == expected.width_m.tolist()


def test_a_scene_larger_than_its_belts_forgets_what_is_finished():
    classes = np.tile(town(200, seed=3), (12, 1))
    tracing = Centerlines(grid_of(classes), ROAD, belt=128)
    held = []
    for row in range(0, len(classes), 100):
        held += [len(tracing._network.edges) for _ in tracing.add(Runs.of(classes[row : row + 100]))]
    assert max(held[3:]) < 2 * max(held[:3]) + 20
    assert list(tracing.finish())
    assert not tracing._network.edges
    assert not tracing._network.nodes


def test_places_wider_than_any_road_do_not_depend_on_windows(monkeypatch):
    classes = painted(
        (900, 700), [(shapely.Point(350, 450).buffer(230), 1), (shapely.LineString([(0, 450), (700, 440)]), 9)]
    )
    whole = traced(classes, belt=100_000)
    monkeypatch.setattr("geoseg.roads.thin._WINDOW", 256)
    assert bytes_of(traced(classes, belt=256)) == bytes_of(whole)
    check_network(whole.geometry)


@pytest.mark.parametrize("pixel", [0.15, 0.5, 2.5])
def test_pixels_of_any_size_give_the_same_metres(pixel):
    side = round(300 / pixel)
    classes = np.full((side, side), 5, np.uint8)
    row, col = (np.indices(classes.shape) + 0.5) * pixel
    classes[np.abs(row - 0.4 * col - 80) <= 5.5 * np.hypot(1, 0.4)] = ROAD
    lines = traced(classes, grid=grid_of(classes, pixel))
    assert len(lines.geometry) == 1
    assert lines.width_m[0] == pytest.approx(11, rel=0.1)
    assert lines.length_m[0] == pytest.approx(300 * np.hypot(1, 0.4), rel=0.02)
    assert Scale.of(grid_of(classes, pixel)).factor == (4 if pixel == 0.15 else 1)


def test_feet_and_degrees_become_metres():
    classes = painted((200, 200), [(shapely.LineString([(100, 0), (100, 200)]), 12)])
    feet = traced(classes, grid=grid_of(classes, 3.0, FEET, (980_000, 200_000)))
    assert feet.width_m[0] == pytest.approx(36 * 0.3048, rel=0.05)
    assert feet.length_m[0] == pytest.approx(600 * 0.3048, rel=0.01)
    # At 60° a degree of longitude is half one of latitude.
    degrees_ = traced(classes, grid=grid_of(classes, 1e-5, CRS.from_epsg(4326), (10.0, 60.0)))
    assert degrees_.width_m[0] == pytest.approx(12 * 0.5580, rel=0.05)
    assert degrees_.length_m[0] == pytest.approx(200 * 1.11412, rel=0.01)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(1, 80), st.floats(0.2, 0.8), st.integers(0, 4))
@example(0, 1, 1, 0.5, 0)
def test_random_blobs_become_a_network(seed, height, width, share, smooth):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((height, width)), smooth)
    classes = np.where(noise <= np.quantile(noise, share), ROAD, 5).astype(np.uint8)
    lines = traced(classes, belt=31)
    check_lines(lines.geometry)
    assert (lines.width_m > 0).all()
    np.testing.assert_allclose(lines.length_m, shapely.length(lines.geometry))


def test_paths_of_a_skeleton_are_followed_between_its_nodes():
    picture = ["#...#..", ".#.#...", "..#..##", "..#..##"]
    rows, cols = np.nonzero([[mark == "#" for mark in line] for line in picture])
    paths = follow(rows.astype(np.int64), cols.astype(np.int64), known=0, seam=None)
    found = sorted([(int(rows[i]), int(cols[i])) for i in path] for path in paths)
    assert found == [
        [(0, 0), (1, 1), (2, 2)],
        [(0, 4), (1, 3), (2, 2)],
        [(2, 2), (3, 2)],
        [(2, 5), (2, 6), (3, 6), (3, 5), (2, 5)],
    ]


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 60), st.floats(0.05, 0.95), st.integers(0, 4))
def test_thinning_and_distances_are_those_of_others(seed, height, width, share, smooth):
    from scipy import ndimage
    from skimage.morphology import skeletonize

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((height, width)), smooth)
    mask = noise < np.quantile(noise, share)
    np.testing.assert_array_equal(thinned(mask), skeletonize(mask, method="lee"))
    expected = ndimage.distance_transform_edt(mask, sampling=(1.5, 1)) * 0.5
    np.testing.assert_allclose(distances(mask, Scale(1, 0.75, 0.5)), expected, rtol=1e-6)
