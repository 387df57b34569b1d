"""Scores brought onto another grid, and classes decided there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from geoseg.inference import decide as decide_module
from geoseg.inference.blend import ScoreRows, decided_rows
from geoseg.inference.decide import decide, network_window, onto_grid
from geoseg.vocabulary import DEFAULT_LEGEND, Window
from tests.blending import assert_decides, built, joined, noise, planned, read, strips


def smooth_scores(shape, classes=5, seed=0):
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.normal(0, 3, (1, classes, 2 + shape[0] // 6, 2 + shape[1] // 6)))
    grown = torch.nn.functional.interpolate(coarse, shape, mode="bicubic")
    return grown.softmax(1)[0].numpy().astype(np.float32)


def onto(scores, target, *, valid=None, heights=(), wanted=None, seen=None, grid=None):
    grid = grid or scores.shape[1:]
    seen = seen or Window(0, 0, *grid)
    wanted = wanted or Window(0, 0, *target)
    valid = np.ones(scores.shape[1:], bool) if valid is None else valid
    ended = []

    def rows():
        yield from strips(scores, valid, heights, seen.row)
        ended.append(True)

    result = joined(onto_grid(rows(), grid, target, seen, wanted), wanted)
    assert ended, "the reader must come to its end, where it looks whether the scene has changed"
    return result


def test_the_same_grid_changes_nothing():
    scores = smooth_scores((31, 20))
    valid = np.random.default_rng(0).random((31, 20)) > 0.3
    same, known = onto(scores, (31, 20), valid=valid, heights=(7, 7))
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_array_equal(same[:, valid], scores[:, valid])


@pytest.mark.parametrize("target", [(62, 40), (15, 10), (45, 29), (93, 61), (31, 40), (1, 1)])
def test_interpolation_is_that_of_the_whole_image(target):
    scores = smooth_scores((31, 20))
    moved, valid = onto(scores, target, heights=(3, 9, 1))
    oracle = torch.nn.functional.interpolate(
        torch.from_numpy(scores)[None], target, mode="bilinear", align_corners=False, antialias=True
    )[0].numpy()
    assert valid.all()
    np.testing.assert_allclose(moved, oracle, atol=1e-5)
    ((classes, confidence),) = [joined(decide([ScoreRows(0, moved, valid)], DEFAULT_LEGEND), Window(0, 0, *target))]
    assert_decides(classes, confidence, oracle)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.data(),
)
def test_the_map_does_not_depend_on_how_rows_come(grid, target, data):
    scores = smooth_scores(grid)
    valid = np.random.default_rng(2).random(grid) > 0.2
    heights = data.draw(st.lists(st.integers(1, 12), max_size=6))
    at_once = data.draw(st.sampled_from([1, 17, 200, 10**6]))
    whole, known = onto(scores, target, valid=valid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decide_module, "_PIXELS_AT_ONCE", at_once)
        cut, also_known = onto(scores, target, valid=valid, heights=heights)
    np.testing.assert_array_equal(known, also_known)
    np.testing.assert_array_equal(whole[:, known], cut[:, known])


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.data(),
)
def test_a_part_of_another_grid_is_the_crop_of_the_whole(grid, target, data):
    scores = smooth_scores(grid)
    valid = np.random.default_rng(2).random(grid) > 0.2
    row, col = (data.draw(st.integers(0, size - 1)) for size in target)
    wanted = Window(row, col, data.draw(st.integers(1, target[0] - row)), data.draw(st.integers(1, target[1] - col)))
    seen = network_window(grid, target, wanted)
    assert seen.intersection(Window(0, 0, *grid)) == seen
    here = seen.slices()
    part, part_known = onto(
        scores[:, *here], target, valid=valid[here], wanted=wanted, seen=seen, grid=grid, heights=(5, 2)
    )
    whole, known = onto(scores, target, valid=valid)
    np.testing.assert_array_equal(part_known, known[wanted.slices()])
    np.testing.assert_array_equal(part[:, part_known], whole[:, *wanted.slices()][:, part_known])


@given(st.tuples(st.integers(1, 30), st.integers(1, 30)), st.tuples(st.integers(1, 60), st.integers(1, 60)))
@example((2, 22), (57, 51))  # where an invalid pixel has a weight of a ten-thousandth
def test_constant_scores_stay_constant_and_nodata_contributes_nothing(grid, target):
    scores = np.broadcast_to(np.float32([0.1, 0.2, 0.3, 0.25, 0.15])[:, None, None], (5, *grid)).copy()
    valid = np.random.default_rng(2).random(grid) > 0.3
    scores[:, ~valid] = 1e9
    moved, known = onto(scores, target, valid=valid)
    expected = np.broadcast_to(np.float32([0.1, 0.2, 0.3, 0.25, 0.15])[:, None], (5, int(known.sum())))
    np.testing.assert_allclose(moved[:, known], expected, atol=1e-5)


def test_decide_takes_the_first_class_on_a_tie_and_rounds_percents():
    scores = np.zeros((5, 1, 4), np.float32)
    scores[:, 0, 0] = [0.4, 0.4, 0.2, 0, 0]
    scores[:, 0, 1] = [0, 0, 0.004, 0, 0.996]
    scores[:, 0, 2] = [0, 1.0000001, 0, 0, 0]
    scores[:, 0, 3] = [0, 1, 0, 0, 0]
    (rows,) = decide([ScoreRows(7, scores, np.array([[True, True, True, False]]))], DEFAULT_LEGEND)
    assert rows.row == 7
    assert rows.classes.tolist() == [[1, 5, 2, 0]]
    assert rows.confidence.tolist() == [[40, 100, 100, 255]]
    assert rows.classes.dtype == rows.confidence.dtype == np.uint8


def test_classes_are_the_legends_values_and_not_positions(tiny_model):
    """A legend whose values are not 1 to n still comes out by its values."""
    entries = tuple(replace(entry, value=10 * entry.value) for entry in DEFAULT_LEGEND)
    legend = type(DEFAULT_LEGEND)(entries)
    pixels = noise((3, 60, 40))
    plan = planned(tiny_model, (60, 40), blend="crop", window=96, overlap=32)
    rows = list(read(pixels, np.ones((60, 40), bool), plan))
    tens, _ = joined(decided_rows(rows, plan, built(tiny_model, plan), legend), plan.area)
    ones, _ = joined(decided_rows(rows, plan, built(tiny_model, plan), DEFAULT_LEGEND), plan.area)
    np.testing.assert_array_equal(tens, 10 * ones)
    assert len(np.unique(ones)) > 1
