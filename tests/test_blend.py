"""One map out of many windows, held against one forward pass over the whole scene."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.inference.blend import decided_rows, scored_rows
from geoseg.vocabulary import DEFAULT_LEGEND, Window
from tests.blending import ROUNDING, assert_decides, built, joined, noise, one_pass, planned, read, scored


def decided(model, pixels, plan, valid=None):
    valid = np.ones(pixels.shape[1:], bool) if valid is None else valid
    return joined(decided_rows(read(pixels, valid, plan), plan, built(model, plan), DEFAULT_LEGEND), plan.area)


SCENES = [
    ((1, 1), None),
    ((2, 3), None),
    ((1, 40), 208),
    ((20, 30), 208),
    ((20, 30), 256),
    ((97, 33), 224),
    ((160, 111), 256),
    ((160, 111), 320),
    ((160, 111), None),
    ((129, 208), 273),
]


@pytest.mark.parametrize(("shape", "window"), SCENES)
def test_exact_is_one_pass_over_the_whole_scene(tiny_model, shape, window):
    pixels = noise((3, *shape), seed=shape[0])
    plan = planned(tiny_model, shape, blend="exact", window=window)
    oracle = one_pass(tiny_model, pixels, plan.halo)
    scores, valid = scored(tiny_model, pixels, plan)
    assert valid.all()
    np.testing.assert_allclose(scores, oracle, rtol=0, atol=ROUNDING)
    assert_decides(*decided(tiny_model, pixels, plan), oracle)


def test_the_oracle_can_tell_windows_from_one_pass(tiny_model):
    """A halo below the radius must show, or the tests above prove nothing."""
    pixels = noise((3, 200, 90))
    oracle = one_pass(tiny_model, pixels, 96)
    assert len(np.unique(oracle.argmax(0))) >= 3
    exact, _ = scored(tiny_model, pixels, planned(tiny_model, (200, 90), blend="crop", window=240, overlap=192))
    short, _ = scored(tiny_model, pixels, planned(tiny_model, (200, 90), blend="crop", window=80, overlap=32))
    assert np.abs(exact - oracle).max() < ROUNDING
    assert np.abs(short - oracle).max() > 1e-2


@pytest.mark.parametrize("blend", ["exact", "crop", "taper"])
@pytest.mark.parametrize(
    "area", [Window(37, 50, 61, 1), Window(0, 0, 150, 120), Window(149, 119, 1, 1), Window(3, 20, 80, 95)]
)
def test_an_area_is_the_crop_of_the_whole(tiny_model, blend, area):
    shape = 150, 120
    pixels = noise((3, *shape), seed=4)
    valid = np.ones(shape, bool)
    valid[60:70, :25] = False
    wanted = (
        {"blend": blend, "window": 240, "overlap": 192}
        if blend == "exact"
        else {"blend": blend, "window": 96, "overlap": 64}
    )
    full, part = planned(tiny_model, shape, **wanted), planned(tiny_model, shape, area, **wanted)
    here = area.slices()
    for cut, every in zip(
        scored(tiny_model, pixels, part, valid), scored(tiny_model, pixels, full, valid), strict=True
    ):
        np.testing.assert_array_equal(
            cut[valid[here]] if cut.ndim == 2 else cut[:, valid[here]],
            every[here][valid[here]] if every.ndim == 2 else every[:, *here][:, valid[here]],
        )
    if blend != "taper":
        for cut, every in zip(
            decided(tiny_model, pixels, part, valid), decided(tiny_model, pixels, full, valid), strict=True
        ):
            np.testing.assert_array_equal(cut, every[here])


def test_nodata_inside_does_not_change_what_lies_around_it_but_is_left_out(tiny_model):
    shape = 150, 120
    pixels = noise((3, *shape), seed=5)
    valid = np.random.default_rng(0).random(shape) > 0.2
    valid[:64, :64] = False  # some windows of 48 pixels' core have nothing to answer for
    plan = planned(tiny_model, shape, blend="exact", window=240)
    oracle = one_pass(tiny_model, pixels, plan.halo)
    classes, confidence = decided(tiny_model, pixels, plan, valid)
    assert (classes[~valid] == 0).all()
    assert (confidence[~valid] == 255).all()
    assert (classes[valid] != 0).all()
    assert np.abs(confidence - oracle.max(0) * 100)[valid].max() <= 0.5 + 1e-2
    scores, known = scored(tiny_model, pixels, plan, valid)
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_allclose(scores[:, valid], oracle[:, valid], rtol=0, atol=ROUNDING)


def test_tell_counts_every_window_once(tiny_model):
    pixels = noise((3, 100, 90))
    valid = np.zeros((100, 90), bool)
    for blend, rows in (("crop", decided_rows), ("taper", scored_rows)):
        plan = planned(tiny_model, (100, 90), blend=blend, window=64, overlap=32)
        told = []
        legend = DEFAULT_LEGEND if blend == "crop" else 5
        list(rows(read(pixels, valid, plan), plan, built(tiny_model, plan), legend, told.append))
        assert sum(told) == plan.count > 4
