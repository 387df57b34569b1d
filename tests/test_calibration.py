"""Reliability tables, worst windows and intervals, held against plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.scores.calibration import Calibration
from geoseg.scores.compared import ComparedRows
from geoseg.scores.confusion import Confusion
from geoseg.scores.intervals import bootstrap
from geoseg.scores.worst import WrongWindows
from geoseg.vocabulary import DEFAULT_LEGEND

maps = arrays(np.uint8, (7, 9), elements=st.integers(0, 3))
percents = arrays(np.uint8, (7, 9), elements=st.integers(0, 100) | st.just(255))


def plain_ece(predicted, reference, confidence, bins=15):
    """Guo et al., equation 3, pixel by pixel, with bins (low, high]."""
    members = [[] for _ in range(bins)]
    for p, r, c in zip(predicted.flat, reference.flat, confidence.flat, strict=True):
        if r and c != 255:
            members[max(0, math.ceil(int(c) * bins / 100) - 1)].append((p == r, c / 100))
    total = sum(map(len, members))
    gaps = [abs(np.mean([m[0] for m in one]) - np.mean([m[1] for m in one])) * len(one) for one in members if one]
    return sum(gaps) / total if total else float("nan")


@given(maps, maps, percents)
def test_ece_is_that_of_plain_loops_and_counts_of_parts_add_up(predicted, reference, confidence):
    found = Calibration.empty().add(ComparedRows(0, predicted, reference, confidence))
    np.testing.assert_allclose(found.ece, plain_ece(predicted, reference, confidence), atol=1e-12)
    assert sum(one.pixels for one in found.bins()) == ((reference > 0) & (confidence < 255)).sum()
    parts = Calibration.empty().add(ComparedRows(0, predicted[:3], reference[:3], confidence[:3]))
    parts += Calibration.empty().add(ComparedRows(3, predicted[3:], reference[3:], confidence[3:]))
    assert (parts.pixels == found.pixels).all()
    assert (parts.right == found.right).all()


@given(maps, maps, percents)
def test_predictions_of_classes_that_are_not_scored_take_no_part(predicted, reference, confidence):
    found = Calibration.empty().add(ComparedRows(0, predicted, reference, confidence), [1, 2])
    masked = np.where(predicted == 3, 255, confidence).astype(np.uint8)
    masked[predicted == 0] = 255
    np.testing.assert_allclose(found.ece, plain_ece(predicted, reference, masked), atol=1e-12)


def test_confidences_that_mean_what_they_say_have_no_error():
    confidence = np.repeat(np.arange(101, dtype=np.uint8), 100)[None]
    reference = np.ones_like(confidence)
    predicted = np.concatenate([np.repeat([1, 2], [percent, 100 - percent]) for percent in range(101)])[None]
    found = Calibration.empty().add(ComparedRows(0, predicted.astype(np.uint8), reference, confidence))
    assert found.ece == pytest.approx(0)
    always_sure = Calibration.empty().add(
        ComparedRows(0, predicted.astype(np.uint8), reference, np.full_like(confidence, 100))
    )
    assert always_sure.ece == pytest.approx(0.5)
    table = found.to_json()
    assert len(table) == 15
    assert table[0]["low"] == 0
    assert table[-1]["high"] == 1


def test_rows_without_confidence_count_nothing():
    found = Calibration.empty().add(ComparedRows(0, np.ones((2, 2), np.uint8), np.ones((2, 2), np.uint8)))
    assert math.isnan(found.ece)
    assert found.to_json()[0]["accuracy"] is None


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 17), st.integers(0, 99))
def test_wrong_windows_tile_the_map_and_count_its_errors(height, width, size, seed):
    rng = np.random.default_rng(seed)
    predicted, reference = rng.integers(0, 3, (2, height, width)).astype(np.uint8)
    windows = WrongWindows(height, width, size)
    cut = int(rng.integers(0, height))
    windows.add(ComparedRows(0, predicted[:cut], reference[:cut]))
    windows.add(ComparedRows(cut, predicted[cut:], reference[cut:]))
    found = windows.worst(10**6)
    seen = np.zeros((height, width), int)
    for one in found:
        here = one.window.slices()
        seen[here] += 1
        assert one.wrong == ((predicted != reference) & (reference > 0))[here].sum() > 0
        assert one.labelled == (reference > 0)[here].sum()
        assert one.share == one.wrong / one.labelled
    assert seen.max(initial=0) <= 1
    assert not ((predicted != reference) & (reference > 0))[seen == 0].any()
    assert [one.wrong for one in found] == sorted((one.wrong for one in found), reverse=True)
    assert windows.worst(2) == found[:2]


def of_images(*shares):
    """Return confusions of images of which a share of a thousand pixels is right."""
    labels = np.repeat([1, 2], 500)
    found = []
    for share in shares:
        right = np.arange(1000) % 100 < 100 * share
        found.append(Confusion.empty(DEFAULT_LEGEND).add(np.where(right, labels, 3).astype(np.uint8), labels))
    return found


def test_intervals_hold_the_score_and_narrow_with_more_images():
    few, many = bootstrap(of_images(0.5, 0.7, 0.9)), bootstrap(of_images(*([0.5, 0.7, 0.9] * 20)))
    for one in (few, many):
        assert one.pixel_accuracy[0] <= 0.7 <= one.pixel_accuracy[1]
    assert few.pixel_accuracy == pytest.approx((0.5, 0.9))
    assert many.pixel_accuracy[1] - many.pixel_accuracy[0] < 0.12
    # The mean of 60 draws with a standard deviation of 0.163: 1.96 of its deviations to either side.
    assert many.pixel_accuracy == pytest.approx((0.659, 0.741), abs=0.008)
    assert many.to_json()["mean_iou"] == [round(end, 6) for end in many.mean_iou]
    assert bootstrap(of_images(0.5, 0.7)) == bootstrap(of_images(0.5, 0.7))


def test_equal_images_leave_no_doubt_and_one_image_says_nothing():
    assert bootstrap(of_images(0.6, 0.6)).pixel_accuracy == pytest.approx((0.6, 0.6))
    assert bootstrap(of_images(0.6)) is None
    assert bootstrap([]) is None
    assert bootstrap([Confusion.empty(DEFAULT_LEGEND)] * 3) is None
