"""Chips are reproducible, and a label stays on its pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geoseg.labels.labelled import LabelledImage
from geoseg.learn.chips import ChipPlan, cut_batch
from geoseg.learn.sampling import Sampler
from geoseg.vocabulary import DEFAULT_LEGEND

STILL = ChipPlan(size=32, batch=6, seed=3, zoom=0.0, color=0.0)


def an_image(height, width, seed=0, name="a"):
    """Return an image whose bands hold each pixel's row, column and label, in blocks of labels 1 to 5."""
    random = np.random.default_rng(seed)
    blocks = random.integers(1, 6, (-(-height // 9), -(-width // 11))).astype(np.uint8)
    labels = blocks.repeat(9, 0).repeat(11, 1)[:height, :width]
    rows, cols = np.indices((height, width))
    pixels = np.stack([rows, cols, labels * 40]).astype(np.uint8)
    return LabelledImage(name, "group", pixels, np.ascontiguousarray(labels))


def sampler_of(*images, shares=None, balance=0.0):
    """Draw from each image as often as its share says, or evenly."""
    named = [replace(image, source=str(i)) for i, image in enumerate(images)]
    each = shares or [1 / len(images)] * len(images)
    return Sampler(named, DEFAULT_LEGEND, {str(i): share for i, share in enumerate(each)}, balance)


def alone(image, plan, step=0):
    return cut_batch(sampler_of(image), plan, step)


def assert_aligned(image, pixels, labels):
    """Every labelled pixel says itself where it comes from and what it is."""
    for chip, label in zip(pixels, labels, strict=True):
        here = label > 0
        row, col, painted = (band[here].astype(int) for band in chip)
        np.testing.assert_array_equal(painted, label[here] * 40)
        np.testing.assert_array_equal(image.labels[row, col], label[here])
        assert len(set(zip(row, col, strict=True))) == here.sum(), "a pixel of the image appears twice with a label"


@pytest.mark.parametrize(
    "plan", [ChipPlan(size=64, batch=5), ChipPlan(size=32, batch=3, zoom=1.0, turn=1.0, color=2.0), STILL]
)
def test_shapes_and_types(plan):
    pixels, labels = alone(an_image(100, 90), plan)
    assert pixels.shape == (plan.batch, 3, plan.size, plan.size)
    assert labels.shape == (plan.batch, plan.size, plan.size)
    assert (pixels.dtype, labels.dtype) == (np.float32, np.uint8)
    assert pixels.flags.c_contiguous
    assert np.isfinite(pixels).all()
    assert 0 <= pixels.min() <= pixels.max() <= 255


def test_a_chip_is_a_matter_of_seed_step_and_place_alone():
    sampler = sampler_of(an_image(100, 90, 0), an_image(70, 120, 1), shares=[0.3, 0.7], balance=0.5)
    plan = ChipPlan(size=32, batch=4, seed=5)
    steps = {step: cut_batch(sampler, plan, step) for step in range(4)}
    for step in reversed(range(4)):
        for again, before in zip(cut_batch(sampler, plan, step), steps[step], strict=True):
            np.testing.assert_array_equal(again, before)
    smaller = cut_batch(sampler, replace(plan, batch=2), 1)
    for again, before in zip(smaller, steps[1], strict=True):
        np.testing.assert_array_equal(again, before[:2])
    chips = [chip.tobytes() for pixels, _ in steps.values() for chip in pixels]
    chips += [chip.tobytes() for chip in cut_batch(sampler, replace(plan, seed=6), 0)[0]]
    assert len(set(chips)) == len(chips), "two chips are the same"


@pytest.mark.parametrize("size", [(100, 90), (32, 32), (33, 200)])
def test_turning_keeps_labels_on_their_pixels(size):
    image = an_image(*size)
    for step in range(10):
        pixels, labels = alone(image, STILL, step)
        assert (labels > 0).all()
        assert_aligned(image, pixels, labels)


def test_all_eight_ways_to_lay_a_chip_occur():
    image = an_image(32, 32)
    seen = set()
    for step in range(12):
        pixels, _ = alone(image, STILL, step)
        seen |= {tuple(chip[0, [0, 0, -1], [0, -1, 0]]) + tuple(chip[1, [0, 0, -1], [0, -1, 0]]) for chip in pixels}
    assert len(seen) == 8


@pytest.mark.parametrize("size", [(20, 50), (50, 20), (10, 12), (1, 1), (5, 200)])
def test_an_image_smaller_than_the_chip_is_unlabelled_outside(size):
    image = an_image(*size)
    for step in range(5):
        pixels, labels = alone(image, STILL, step)
        inside = min(size[0], 32) * min(size[1], 32)
        assert ((labels > 0).sum((1, 2)) == inside).all()
        assert_aligned(image, pixels, labels)


@pytest.mark.parametrize("size", [(90, 100), (20, 40), (8, 8)])
def test_zooming_keeps_labels_on_their_pixels_and_invents_none(size):
    image = an_image(*size, seed=2)
    plan = replace(STILL, zoom=0.5)
    zoomed = 0
    for step in range(12):
        pixels, labels = alone(image, plan, step)
        assert set(np.unique(labels)) <= set(np.unique(image.labels)) | {0}
        for chip, label in zip(pixels, labels, strict=True):
            around = np.lib.stride_tricks.sliding_window_view(label, (3, 3))
            inner = label[1:-1, 1:-1]
            steady = (around == inner[:, :, None, None]).all((2, 3)) & (inner > 0)
            np.testing.assert_allclose(chip[2, 1:-1, 1:-1][steady], 40 * inner[steady].astype(float), atol=1e-3)
            near = np.abs(chip[:2, 1:-1, 1:-1][:, steady] - np.rint(chip[:2, 1:-1, 1:-1][:, steady])).max(initial=0)
            zoomed += near > 1e-3
    assert zoomed > 10, "hardly a chip was zoomed"


def test_zoom_changes_the_ground_resolution_by_the_factor_it_names():
    rows = np.repeat(np.arange(200, dtype=np.uint8)[:, None], 200, 1)
    image = LabelledImage("ramp", "g", np.stack([rows, rows.T, rows]), np.ones((200, 200), np.uint8))
    steps = []
    for step in range(30):
        pixels, _ = alone(image, replace(STILL, zoom=0.4), step)
        for chip in pixels:
            across = np.abs(chip[0, 8:24, 16] - chip[0, 7:23, 16]).mean()
            down = np.abs(chip[0, 16, 8:24] - chip[0, 16, 7:23]).mean()
            steps.append(max(across, down))  # source rows per chip pixel
    assert np.exp(-0.4) * 0.93 < min(steps) < 0.8
    assert 1.25 < max(steps) < np.exp(0.4) * 1.07
    assert 0.3 < np.mean(np.isclose(steps, 1)) < 0.7, "about half of the chips are not zoomed"


def test_partly_labelled_images_stay_partly_labelled():
    image = an_image(64, 64)
    image.labels[:, 20:] = 0
    _, labels = alone(image, replace(STILL, batch=20))
    assert 0.05 < (labels > 0).mean() < 0.6


def test_images_are_drawn_by_their_shares_and_left_alone():
    images = [an_image(40, 40, seed, f"{seed}") for seed in range(3)]
    for i, image in enumerate(images):
        image.pixels[2] = 100 + i
    before = [(image.pixels.copy(), image.labels.copy()) for image in images]
    plan = replace(STILL, batch=400)
    pixels, _ = cut_batch(sampler_of(*images, shares=[0.0, 0.25, 0.75]), plan, 0)
    drawn = np.bincount(pixels[:, 2, 0, 0].astype(int) - 100, minlength=3) / 400
    assert drawn[0] == 0
    assert 0.18 < drawn[1] < 0.32
    cut_batch(sampler_of(*images, balance=0.3), replace(plan, color=1.0, zoom=0.5, turn=0.5), 0)
    for image, (pixels_before, labels_before) in zip(images, before, strict=True):
        np.testing.assert_array_equal(image.pixels, pixels_before)
        np.testing.assert_array_equal(image.labels, labels_before)


def test_colour_changes_pixels_but_neither_labels_nor_every_chip_alike():
    image = an_image(64, 64)
    # Blocks, as pictures have them: the softer lens and the lossy file would rightly wipe out noise of single pixels.
    image.pixels[:] = np.random.default_rng(0).integers(60, 190, (3, 8, 8)).repeat(8, 1).repeat(8, 2)
    plain, labels = alone(image, replace(STILL, batch=30))
    colored, same = alone(image, replace(STILL, batch=30, color=1.0))
    np.testing.assert_array_equal(labels, same)
    moved = (colored - plain).mean((2, 3))
    assert (np.abs(moved).max(1) > 0.5).mean() > 0.8
    assert moved.std(0).min() > 3
    correlation = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(plain, colored, strict=True)]
    assert min(correlation) > 0.5, "recoloured past recognition"
