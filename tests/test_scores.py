"""Confusion counts and the scores that follow from them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.labels.labelled import LabelKey
from geoseg.scores.confusion import Confusion
from geoseg.vocabulary import DEFAULT_LEGEND, Legend, MapClass


def legend(*names: str) -> Legend:
    return Legend(tuple(MapClass(i, n, None, "#000000", "#000000") for i, n in enumerate(names, 1)))


TWO = legend("building", "road")
TWO_AND_LAND = legend("building", "road", "land")


def test_counts_and_scores_by_hand():
    reference = np.array([[1, 1, 1, 1, 2, 2, 0, 9]], np.uint8)
    predicted = np.array([[1, 1, 2, 0, 2, 1, 1, 1]], np.uint8)
    found = Confusion.empty(TWO).add(predicted, reference)
    assert found.counts.tolist() == [[2, 1, 1], [1, 1, 0]]
    assert found.pixel_accuracy == 3 / 6
    assert found.iou.tolist() == [2 / 5, 1 / 3]
    assert found.mean_iou == pytest.approx((2 / 5 + 1 / 3) / 2)
    assert found.to_json() == {
        "pixel_accuracy": 0.5,
        "mean_iou": round((2 / 5 + 1 / 3) / 2, 6),
        "classes": {
            "building": {
                "iou": 0.4,
                "f1": round(4 / 7, 6),
                "precision": round(2 / 3, 6),
                "recall": 0.5,
                "support": 4,
            },
            "road": {"iou": round(1 / 3, 6), "f1": 0.5, "precision": 0.5, "recall": 0.5, "support": 2},
        },
        "confusion": [[2, 1, 1], [1, 1, 0]],
    }


def test_a_class_that_neither_map_has_takes_no_part_in_the_mean():
    found = Confusion.empty(DEFAULT_LEGEND).add(np.array([1, 2], np.uint8), np.array([1, 1], np.uint8))
    assert found.mean_iou == (1 / 2 + 0) / 2
    assert found.to_json()["classes"]["water"] == {
        "iou": None, "f1": None, "precision": None, "recall": None, "support": 0,
    }  # fmt: skip


def test_no_labelled_pixels_have_no_scores():
    found = Confusion.empty(TWO).add(np.array([1, 2], np.uint8), np.array([0, 0], np.uint8))
    assert math.isnan(found.pixel_accuracy)
    assert math.isnan(found.mean_iou)
    assert "-" in found.to_text()


def test_what_partly_known_ground_rules_out_counts_as_found_where_it_is_not():
    allowed = LabelKey(TWO_AND_LAND, {200: ("road", "land")}).allowed()
    reference = np.array([[1, 1, 1, 200, 200, 200, 200, 0]], np.uint8)
    predicted = np.array([[1, 1, 3, 1, 2, 3, 3, 1]], np.uint8)
    found = Confusion.empty(TWO_AND_LAND).add_partly_known(predicted, reference, allowed)
    assert found.counts[0].tolist() == [2, 0, 1, 0]
    assert found.ruled_out is not None
    assert found.ruled_out.tolist() == [1, 0, 0]
    assert found.iou[0] == 2 / 4  # two of three, and one where no building can be
    assert found.mean_iou == 2 / 4  # nothing says where roads and land are
    assert found.pixel_accuracy == (2 + 3) / 7
    assert found.not_ruled_out == 3
    assert "of 7 pixels, 4 of them partly known" in found.to_text()
    assert found.to_json()["classes"]["building"]["precision"] == round(2 / 3, 6)
    assert found.to_json()["ruled_out"] == [1, 0, 0]
    twice = found.add_partly_known(predicted, reference, allowed)
    assert twice.ruled_out is not None
    assert twice.ruled_out.tolist() == [2, 0, 0]
    assert twice.iou[0] == 2 / 4


def test_a_map_that_calls_everything_a_building_does_not_score_best_on_footprints():
    allowed = LabelKey(TWO_AND_LAND, {200: ("road", "land")}).allowed()
    reference = np.array([[1, 200, 200, 200, 200]], np.uint8)
    everywhere, right = np.full((1, 5), 1, np.uint8), np.array([[1, 3, 3, 2, 2]], np.uint8)
    empty = Confusion.empty(TWO_AND_LAND)
    assert empty.add_partly_known(everywhere, reference, allowed).mean_iou == 1 / 5
    assert empty.add_partly_known(right, reference, allowed).mean_iou == 1


def test_the_bucket_counts_in_accuracy_and_matrix_but_has_no_score():
    reference = np.array([1, 1, 2, 2, 2], np.uint8)
    predicted = np.array([1, 2, 2, 2, 1], np.uint8)
    found = Confusion.empty(legend("building", "other"), "other").add(predicted, reference)
    assert found.bucket == "other"
    assert found.pixel_accuracy == 3 / 5
    assert found.mean_iou == 1 / 3
    assert list(found.to_json()["classes"]) == ["building"]
    assert found.to_json()["confusion"] == [[1, 1, 0], [1, 2, 0]]


def test_text_has_every_number_in_aligned_columns():
    lines = Confusion.empty(TWO).add(np.array([1, 2, 2], np.uint8), np.array([1, 1, 2], np.uint8)).to_text()
    table, summary, matrix = lines.split("\n\n")
    assert "building  0.5000  0.6667     1.0000  0.5000        2" in table
    assert "mean IoU        0.5000" in summary
    assert "pixel accuracy  0.6667  of 3 pixels" in summary
    assert matrix.splitlines()[1].split() == ["building", "1", "1", "0"]
    assert len({len(line) for line in table.splitlines()}) == 1


maps = arrays(np.uint8, (6, 7), elements=st.integers(0, 6))


@settings(max_examples=60, deadline=None)
@given(maps, maps)
def test_every_labelled_pixel_is_counted_once(predicted, reference):
    found = Confusion.empty(DEFAULT_LEGEND).add(predicted, reference)
    labelled = (reference >= 1) & (reference <= 5)
    assert found.counts.sum() == labelled.sum()
    for row in range(5):
        for col in range(5):
            here = (reference == row + 1) & (predicted == col + 1)
            assert found.counts[row, col] == here.sum()
    if labelled.any():
        assert found.pixel_accuracy == pytest.approx((predicted == reference)[labelled].mean())


@settings(max_examples=60, deadline=None)
@given(maps, maps)
def test_labels_of_one_class_score_the_same_as_partly_known_ones(predicted, reference):
    known = Confusion.empty(DEFAULT_LEGEND).add(predicted, reference)
    partly = Confusion.empty(DEFAULT_LEGEND).add_partly_known(predicted, reference, LabelKey(DEFAULT_LEGEND).allowed())
    np.testing.assert_array_equal(known.counts, partly.counts)
    assert partly.ruled_out is None
    assert partly.mean_iou == pytest.approx(known.mean_iou, nan_ok=True)
    assert partly.pixel_accuracy == pytest.approx(known.pixel_accuracy, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(maps, maps, st.permutations([1, 2, 3, 4, 5]))
def test_renaming_classes_permutes_the_matrix_and_keeps_the_scores(predicted, reference, order):
    table = np.array([0, *order, 6], np.uint8)
    found = Confusion.empty(DEFAULT_LEGEND).add(predicted, reference)
    renamed = Confusion.empty(DEFAULT_LEGEND).add(table[predicted], table[reference])
    place = np.array(order) - 1
    assert (renamed.counts[np.ix_(place, [*place, 5])] == found.counts).all()
    np.testing.assert_allclose(renamed.iou[place], found.iou)
    np.testing.assert_allclose(renamed.mean_iou, found.mean_iou)


@settings(max_examples=60, deadline=None)
@given(maps, maps, st.integers(0, 6))
def test_parts_add_up_to_the_whole(predicted, reference, cut):
    whole = Confusion.empty(DEFAULT_LEGEND).add(predicted, reference)
    parts = Confusion.empty(DEFAULT_LEGEND).add(predicted[:cut], reference[:cut])
    parts = parts.add(predicted[cut:], reference[cut:])
    assert (parts.counts == whole.counts).all()


@settings(max_examples=60, deadline=None)
@given(maps)
def test_a_map_agrees_with_itself(labels):
    found = Confusion.empty(DEFAULT_LEGEND).add(labels, labels)
    assert found.counts[:, 5].sum() == 0
    if ((labels >= 1) & (labels <= 5)).any():
        assert found.pixel_accuracy == found.mean_iou == 1


@settings(max_examples=60, deadline=None)
@given(maps, maps)
def test_exchanging_the_maps_keeps_iou_where_both_are_labelled(one, other):
    both = (one >= 1) & (one <= 5) & (other >= 1) & (other <= 5)
    there = Confusion.empty(DEFAULT_LEGEND).add(one[both], other[both])
    back = Confusion.empty(DEFAULT_LEGEND).add(other[both], one[both])
    np.testing.assert_array_equal(there.iou, back.iou)
    assert (there.counts[:, :5] == back.counts[:, :5].T).all()
