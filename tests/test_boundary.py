"""Boundary F1, held against distance transforms of whole maps."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from geoseg.errors import UsageError
from geoseg.scores.boundary import Borders
from geoseg.scores.compared import ComparedRows
from geoseg.scores.f1 import Found
from geoseg.vocabulary import DEFAULT_LEGEND, MapClass

CLASSES = DEFAULT_LEGEND.classes
FEW = tuple(CLASSES[:2])


def of_strips(predicted, reference, classes=CLASSES, tolerance=(2.0, 2.0), heights=()):
    """Count borders, the map cut into strips of some heights and a last one of the rest."""
    borders = Borders(classes, tolerance, predicted.shape[1])
    cuts = [*np.minimum(np.cumsum([0, *heights]), len(predicted)).tolist(), len(predicted)]
    for top, bottom in itertools.pairwise(cuts):
        borders.add(ComparedRows(top, predicted[top:bottom], reference[top:bottom]))
    return borders.finish()


def border_of(classes, value, labelled):
    """Return the border pixels of a class, neighbour by neighbour."""
    height, width = classes.shape
    border = np.zeros(classes.shape, bool)
    for row, col in np.argwhere((classes == value) & labelled):
        for there in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            inside = 0 <= there[0] < height and 0 <= there[1] < width
            border[row, col] |= inside and labelled[there] and classes[there] != value
    return border


def by_distance(predicted, reference, classes, tolerance):
    counts = []
    labelled = reference != 0
    for entry in classes:
        ours, theirs = (border_of(one, entry.value, labelled) for one in (predicted, reference))
        near = [
            (distance_transform_edt(~border, sampling=(1 / tolerance[0], 1 / tolerance[1])) <= 1 + 1e-9)
            if border.any()
            else np.zeros(border.shape, bool)
            for border in (theirs, ours)
        ]
        counts.append([ours.sum(), (ours & near[0]).sum(), theirs.sum(), (theirs & near[1]).sum()])
    return np.array(counts).T


def counts_of(found):
    return np.stack([found.predicted, found.right, found.reference, found.found])


maps = arrays(np.uint8, (9, 11), elements=st.integers(0, 5))
tolerances = st.sampled_from([(0.5, 0.5), (1.0, 1.0), (1.5, 1.5), (2.0, 2.0), (5.0, 5.0), (3.0, 1.2), (1.0, 4.0)])


@given(maps, maps, tolerances, st.lists(st.integers(1, 6), max_size=6))
def test_counts_are_those_of_a_distance_transform_however_rows_are_cut(predicted, reference, tolerance, heights):
    found = of_strips(predicted, reference, tolerance=tolerance, heights=heights)
    assert (counts_of(found) == by_distance(predicted, reference, CLASSES, tolerance)).all()


def test_large_patches_and_thirteen_classes():
    rng = np.random.default_rng(0)
    classes = tuple(MapClass(7 * i + 1, f"c{i}", None, "#000000", "#000000") for i in range(13))
    values = np.array([0, *(entry.value for entry in classes)], np.uint8)
    one, other = (np.kron(values[rng.integers(0, 14, (8, 9))], np.ones((9, 7), np.uint8)) for _ in range(2))
    other = np.where(rng.random(one.shape) < 0.7, np.roll(one, 2, 1), other).astype(np.uint8)
    for tolerance in ((2.0, 2.0), (10.0, 10.0)):
        found = of_strips(one, other, classes, tolerance, [1, 20, 3])
        assert (counts_of(found) == by_distance(one, other, classes, tolerance)).all()


def test_a_border_moved_by_the_tolerance_is_right_and_by_more_is_wrong():
    reference = np.where(np.arange(20) < 10, 1, 2).astype(np.uint8)[None].repeat(6, 0)
    for shift, f1 in ((0, 1.0), (2, 1.0), (3, 0.0)):
        found = of_strips(np.roll(reference, shift, 1)[:, 3:], reference[:, 3:], FEW)
        assert found.f1.tolist() == [f1, f1]
        assert found.mean_f1 == f1
    assert of_strips(reference, reference, FEW).reference.tolist() == [6, 6]


def test_missing_pixels_of_the_prediction_end_its_classes_and_unlabelled_ones_do_not():
    reference = np.full((5, 8), 1, np.uint8)
    predicted = reference.copy()
    predicted[:, 4:] = 0
    assert of_strips(predicted, reference, FEW).predicted.tolist() == [5, 0]
    assert of_strips(reference, predicted, FEW).reference.tolist() == [0, 0]
    assert of_strips(reference, predicted, FEW).predicted.tolist() == [0, 0]


@given(maps, maps)
def test_exchanging_the_maps_exchanges_precision_and_recall(one, other):
    one, other = np.maximum(one, 1), np.maximum(other, 1)
    there, back = of_strips(one, other), of_strips(other, one)
    np.testing.assert_array_equal(there.precision, back.recall)
    np.testing.assert_array_equal(there.f1, back.f1)


def test_f1_where_one_map_or_both_have_nothing():
    found = Found(("a", "b", "c"), *(np.array(part) for part in ([0, 3, 0], [0, 0, 0], [0, 0, 2], [0, 0, 0])))
    assert np.isnan(found.f1[0])
    assert found.f1[1:].tolist() == [0, 0]
    assert found.mean_f1 == 0
    assert found.to_json()["a"] == {
        "precision": None, "recall": None, "f1": None, "predicted": 0, "right": 0, "reference": 0, "found": 0,
    }  # fmt: skip
    assert np.isnan(Found.nothing(("a",)).mean_f1)
    assert (counts_of(found + found) == 2 * counts_of(found)).all()
    with pytest.raises(ValueError, match="counts of"):
        found + Found.nothing(("a",))


@pytest.mark.parametrize("pixels", [-1.0, 257.0, float("nan")])
def test_a_tolerance_must_mean_something(pixels):
    with pytest.raises(UsageError, match="tolerance"):
        Borders(CLASSES, (pixels, pixels), 5)


def test_memory_is_a_few_rows():
    borders = Borders(FEW, (2.0, 2.0), 7)
    rng = np.random.default_rng(1)
    for row in range(100):
        strip = rng.integers(1, 3, (1, 7)).astype(np.uint8)
        borders.add(ComparedRows(row, strip, strip))
        assert len(borders._held[0]) <= 2 * (2 + 1)
    assert borders.finish().mean_f1 == 1
