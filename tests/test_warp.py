"""Cuts at any place, angle and scale against scipy; spots drawn by share and class; other light leaves shapes alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from geoseg.labels.labelled import LabelledImage
from geoseg.learn.recolor import recolored
from geoseg.learn.sampling import Sampler, chances
from geoseg.learn.warp import Place, cut
from geoseg.vocabulary import DEFAULT_LEGEND


def smooth(height, width, seed=0):
    random = np.random.default_rng(seed)
    pixels = ndimage.gaussian_filter(random.uniform(0, 255, (3, height, width)), (0, 2, 2))
    labels = random.integers(1, 6, (height, width)).astype(np.uint8)
    return LabelledImage("a", "g", pixels.astype(np.float32), labels)


def lattice(place, size):
    """Return row and column in the image of the centres of the result's pixels, written from the definition."""
    down, across = np.mgrid[0:size, 0:size] + 0.5 - size / 2
    sine, cosine = math.sin(place.angle), math.cos(place.angle)
    row = place.row + (cosine * down - sine * across) / place.zoom
    col = place.col + (sine * down + cosine * across) / place.zoom
    return row, col


@settings(max_examples=40, deadline=None)
@given(st.floats(-20, 80), st.floats(-20, 90), st.floats(0.85, 3), st.floats(-math.pi, math.pi), st.integers(0, 99))
def test_cuts_are_those_of_scipy(row, col, zoom, angle, seed):
    image = smooth(60, 70, seed)
    place = Place(row, col, 24, zoom, angle)
    pixels, labels = cut(image, place)
    at = np.array(lattice(place, 24))
    expected = np.stack([ndimage.map_coordinates(band, at - 0.5, order=1, mode="reflect") for band in image.pixels])
    np.testing.assert_allclose(pixels, expected, atol=0.05)
    near = np.floor(at).astype(int)
    inside = ((near >= 0) & (near < np.array([60, 70])[:, None, None])).all(0)
    sure = (np.abs(at - np.rint(at)) > 1e-6).all(0)  # between two pixels either is the nearest
    assert (labels[~inside & sure] == 0).all()
    here = inside & sure
    np.testing.assert_array_equal(labels[here], image.labels[near[0][here], near[1][here]])


def test_coarser_cuts_are_means():
    image = smooth(64, 64)
    pixels, _ = cut(image, Place(32, 32, 32, 0.5))
    np.testing.assert_allclose(pixels, image.pixels.reshape(3, 32, 2, 32, 2).mean((2, 4)), atol=0.5)
    checkered = LabelledImage("c", "g", np.indices((64, 64)).sum(0, keepdims=True) % 2 * np.float32(200), image.labels)
    assert np.ptp(cut(checkered, Place(32, 32, 16, 0.25, 0.3))[0]) < 60, "fine detail must not alias"


@pytest.mark.parametrize("size", [(64, 64), (20, 100), (1, 1)])
def test_straight_cuts_are_exact_and_mirrored_beyond_the_border(size):
    image = smooth(*size)
    pixels, labels = cut(image, Place(16, 16, 32))
    padded = np.pad(image.pixels, ((0, 0), (0, max(0, 32 - size[0])), (0, max(0, 32 - size[1]))), mode="symmetric")
    np.testing.assert_array_equal(pixels, padded[:, :32, :32])
    known = np.zeros((32, 32), np.uint8)
    known[: size[0], : size[1]] = image.labels[:32, :32]
    np.testing.assert_array_equal(labels, known)


# ---- spots


def test_sources_get_their_shares_and_the_rest_goes_by_area():
    def an_image(size, source):
        return LabelledImage("n", "g", np.zeros((3, size, size), np.uint8), np.ones((size, size), np.uint8), source)

    real, demo = [an_image(8, "images"), an_image(16, "images")], [an_image(99, "demo")] * 3
    found = chances([*real, *demo], {"demo": 0.25, "none": 0.5})
    assert found.sum() == pytest.approx(1)
    assert found[2:].sum() == pytest.approx(0.25)
    assert found[1] == pytest.approx(found[0] * 4**0.8)
    for some in (real, demo):
        assert chances(some, {"demo": 0.25}).sum() == pytest.approx(1)


def test_balanced_spots_find_every_class_alike():
    labels = np.full((100, 300), 5, np.uint8)
    labels[60:64, 200:204] = 1
    labels[:3, :3] = 3
    image = LabelledImage("a", "g", np.zeros((3, 100, 300), np.uint8), labels)
    sampler = Sampler([image], DEFAULT_LEGEND, {}, 1.0)
    spots = [sampler.draw(np.random.default_rng(i)) for i in range(600)]
    near = {1: 0, 3: 0}
    for spot in spots:
        around = labels[spot.row // 32 * 32 : spot.row // 32 * 32 + 32, spot.col // 32 * 32 : spot.col // 32 * 32 + 32]
        for value in near:
            near[value] += (around == value).any()
    assert 150 < near[1] < 260
    assert 150 < near[3] < 260
    assert all(0 <= spot.row < 100 and 0 <= spot.col < 300 for spot in spots)
    anywhere = Sampler([image], DEFAULT_LEGEND, {}, 0.0)
    rows = [anywhere.draw(np.random.default_rng(i)).row for i in range(300)]
    assert 40 < np.mean(rows) < 60


def test_labels_of_no_class_are_drawn_from_all_the_same():
    image = LabelledImage("a", "g", np.zeros((3, 40, 40), np.uint8), np.full((40, 40), 200, np.uint8))
    spot = Sampler([image], DEFAULT_LEGEND, {}, 1.0).draw(np.random.default_rng(0))
    assert spot.image is image


# ---- light


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 3), st.sampled_from([1, 2, 3, 4]))
def test_other_light_keeps_shape_type_and_range(seed, strength, bands):
    chip = np.random.default_rng(seed).uniform(0, 255, (bands, 16, 20)).astype(np.float32)
    made = recolored(chip.copy(), strength, np.random.default_rng(seed))
    assert (made.shape, made.dtype) == (chip.shape, np.float32)
    assert np.isfinite(made).all()
    assert 0 <= made.min() <= made.max() <= 255
    again = recolored(chip.copy(), strength, np.random.default_rng(seed))
    np.testing.assert_array_equal(made, again)
    np.testing.assert_array_equal(recolored(chip.copy(), 0, np.random.default_rng(seed)), chip)
