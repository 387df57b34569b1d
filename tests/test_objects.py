"""Objects matched one to one, held against every possible assignment."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from geoseg.scores.objects import Objects, match_objects, partners
from geoseg.vocabulary import DEFAULT_LEGEND

CLASSES = DEFAULT_LEGEND.classes


def overlaps(ours, theirs):
    """Return the intersection over union of every pair, shape (ours, theirs)."""
    shared = shapely.area(shapely.intersection(ours[:, None], theirs[None]))
    return shared / (shapely.area(ours)[:, None] + shapely.area(theirs)[None] - shared)


boxes = st.lists(st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 6)] * 2), max_size=8).map(
    lambda found: np.array([shapely.box(x, y, x + w, y + h) for x, y, w, h in found], object)
)


@given(boxes, boxes)
def test_pairs_are_good_one_to_one_and_none_that_is_left_could_be_added(ours, theirs):
    pairs = partners(ours, theirs)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    if len(ours) == 0 or len(theirs) == 0:
        assert len(pairs) == 0
        return
    iou = overlaps(ours, theirs)
    assert (iou[pairs[:, 0], pairs[:, 1]] >= 0.5).all()
    assert (np.diff(iou[pairs[:, 0], pairs[:, 1]]) <= 0).all()
    iou[pairs[:, 0]], iou[:, pairs[:, 1]] = 0, 0
    assert (iou < 0.5).all()


@given(st.integers(0, 2**16), st.floats(0, 2))
def test_objects_that_do_not_overlap_are_matched_as_well_as_possible(seed, shift):
    rng = np.random.default_rng(seed)
    places = [(4 * row, 4 * col) for row in range(4) for col in range(4)]
    ours = np.array([shapely.box(x, y, x + rng.uniform(1, 4), y + rng.uniform(1, 4)) for x, y in places], object)
    theirs = shapely.transform(ours, lambda xy: xy + shift)[rng.permutation(16)[:11]]
    good = overlaps(ours, theirs) > 0.5
    rows, cols = linear_sum_assignment(good, maximize=True)
    assert len(partners(ours, theirs, 0.5 + 1e-12)) == good[rows, cols].sum()


def test_scores_by_hand():
    box = shapely.box
    predicted = Objects(
        np.array([box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10), box(0, 0, 10, 10)], object),
        np.array([1, 1, 1, 2], np.uint8),
    )
    reference = Objects(
        np.array([box(0, 0, 10, 9), box(20, 5, 30, 15), box(0, 0, 10, 10)], object), np.array([1, 1, 3], np.uint8)
    )
    found = match_objects(predicted, reference, CLASSES).to_json()
    assert found["building"] == {
        "precision": round(1 / 3, 6), "recall": 0.5, "f1": 0.4, "predicted": 3, "right": 1, "reference": 2, "found": 1,
    }  # fmt: skip
    assert found["road"]["f1"] == found["water"]["f1"] == 0
    assert found["land"]["f1"] is None


def test_exactly_one_half_is_enough():
    one, half = (np.array([shapely.box(0, 0, 10, top)], object) for top in (10, 5))
    assert len(partners(one, half)) == 1
    assert len(partners(one, np.array([shapely.box(0, 0, 10, 4.9)], object))) == 0
    for x, y in np.random.default_rng(0).uniform(0, 1e4, (50, 2)):  # as on the plane of a grid with any origin
        pair = [shapely.box(x, y, x + 100 / 3, y + top / 3) for top in (100, 50)]
        assert len(partners(np.array(pair[:1]), np.array(pair[1:]))) == 1


@pytest.mark.parametrize("count", [0, 1])
def test_maps_without_objects(count):
    some = Objects(np.array([shapely.box(0, 0, 1, 1)] * count, object), np.ones(count, np.uint8))
    none = Objects(np.empty(0, object), np.empty(0, np.uint8))
    assert match_objects(some, none, CLASSES).predicted[0] == count
    assert match_objects(none, some, CLASSES).reference[0] == count
