"""Losses against calculations by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geoseg.errors import UsageError
from geoseg.learn.losses import loss_named

IGNORED = -100


def choices(target, classes):
    """Return the allowed classes of (n, h, w) class indices: all where nothing is known."""
    each = torch.arange(classes).view(1, -1, 1, 1)
    return (target.unsqueeze(1) == each) | (target.unsqueeze(1) == IGNORED)


def cross_entropy(scores, target, weight):
    return loss_named("ce")(scores, choices(target, scores.shape[1]), weight)


def ce_iou(scores, target, weight):
    return loss_named("ce+iou")(scores, choices(target, scores.shape[1]), weight)


def iou_loss(scores, target):
    return loss_named("iou")(scores, choices(target, scores.shape[1]), torch.ones(scores.shape[1]))


def softmax(scores):
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def by_hand(scores, target, weight):
    """Return weighted cross-entropy and soft IoU, pixel by pixel in plain Python."""
    probability = softmax(scores)
    n, classes, height, width = scores.shape
    summed, weights = 0.0, 0.0
    overlap, union, present = np.zeros(classes), np.zeros(classes), np.zeros(classes, bool)
    for i in range(n):
        for row in range(height):
            for col in range(width):
                truth = target[i, row, col]
                if truth == IGNORED:
                    continue
                p = probability[i, :, row, col]
                summed -= weight[truth] * math.log(p[truth])
                weights += weight[truth]
                t = np.eye(classes)[truth]
                overlap += p * t
                union += p + t - p * t
                present[truth] = True
    return summed / weights, 1 - (overlap[present] / union[present]).mean()


@pytest.mark.parametrize("seed", range(4))
def test_both_losses_are_those_of_the_paper(seed):
    random = np.random.default_rng(seed)
    classes = 4
    scores = random.normal(0, 2, (2, classes, 3, 5))
    target = random.integers(0, classes - 1, (2, 3, 5))  # the last class does not occur
    target[random.random(target.shape) < 0.3] = IGNORED
    weight = random.uniform(0.2, 3, classes)
    expected = by_hand(scores, target, weight)
    given = torch.tensor(scores), torch.tensor(target)
    found = cross_entropy(*given, torch.tensor(weight)), iou_loss(*given)
    np.testing.assert_allclose([float(v) for v in found], expected, rtol=1e-10)
    assert float(ce_iou(*given, torch.tensor(weight))) == pytest.approx(sum(expected), rel=1e-10)


def test_a_calculation_on_paper():
    """Two pixels: probabilities 3/4 and 1/2 of the truth, which is class 0 (weight 1), then 1 (weight 3)."""
    scores = torch.tensor([[[[math.log(3.0), 0.0]], [[0.0, 0.0]]]], dtype=torch.double)
    target = torch.tensor([[[0, 1]]])
    weight = torch.tensor([1.0, 3.0], dtype=torch.double)
    assert float(cross_entropy(scores, target, weight)) == pytest.approx((math.log(4 / 3) + 3 * math.log(2)) / 4)
    # class 0: overlap 3/4, union (3/4 + 1/2) + 1 - 3/4; class 1: overlap 1/2, union (1/4 + 1/2) + 1 - 1/2
    assert float(iou_loss(scores, target)) == pytest.approx(1 - ((3 / 4) / (3 / 2) + (1 / 2) / (5 / 4)) / 2)


def test_ignored_pixels_have_no_say_and_no_gradient():
    random = torch.Generator().manual_seed(1)
    scores = torch.randn(2, 3, 4, 4, generator=random, dtype=torch.double)
    target = torch.randint(0, 3, (2, 4, 4), generator=random)
    target[:, 1:3] = IGNORED
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.double)
    for loss in (
        lambda s: cross_entropy(s, target, weight),
        lambda s: iou_loss(s, target),
        lambda s: ce_iou(s, target, weight),
    ):
        leaf = scores.clone().requires_grad_()
        value = loss(leaf)
        value.backward()
        other = scores.clone()
        other[:, :, 1:3] += 7 * torch.randn(2, 3, 2, 4, generator=random, dtype=torch.double)
        assert float(loss(other)) == pytest.approx(value.item(), rel=1e-12)
        assert (leaf.grad[:, :, 1:3] == 0).all()
        assert (leaf.grad[:, :, 0] != 0).any()


def test_no_labelled_pixel_is_no_loss_and_a_finite_gradient():
    scores = torch.randn(2, 3, 4, 4, requires_grad=True)
    target = torch.full((2, 4, 4), IGNORED)
    for loss in (iou_loss(scores, target), ce_iou(scores, target, torch.ones(3))):
        assert loss.item() == 0
        (gradient,) = torch.autograd.grad(loss, scores)
        assert (gradient == 0).all()


def test_a_perfect_answer_costs_nothing_and_the_worst_one_much():
    target = torch.tensor([[[0, 1], [2, IGNORED]]])
    right = torch.zeros(1, 3, 2, 2)
    right.scatter_(1, target.clamp_min(0).unsqueeze(1), 50.0)
    weight = torch.ones(3)
    assert float(ce_iou(right, target, weight)) == pytest.approx(0, abs=1e-6)
    assert float(iou_loss(-right, target)) == pytest.approx(1, abs=1e-6)
    assert float(cross_entropy(-right, target, weight)) > 10


def test_the_gradient_is_that_of_finite_differences():
    scores = torch.randn(1, 3, 2, 3, dtype=torch.double, generator=torch.Generator().manual_seed(2), requires_grad=True)
    target = torch.tensor([[[0, 1, IGNORED], [2, 0, 1]]])
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.double)
    assert torch.autograd.gradcheck(lambda s: ce_iou(s, target, weight), scores)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.5])
def test_the_focal_loss_is_equation_two(gamma):
    random = np.random.default_rng(5)
    scores, weight = random.normal(0, 2, (2, 3, 4, 4)), random.uniform(0.2, 3, 3)
    target = random.integers(0, 3, (2, 4, 4))
    share = np.take_along_axis(softmax(scores), target[:, None], 1)[:, 0]
    alpha = weight[target]
    expected = (-alpha * (1 - share) ** gamma * np.log(share)).sum() / alpha.sum()
    given = torch.tensor(scores), choices(torch.tensor(target), 3), torch.tensor(weight)
    assert float(loss_named("focal", gamma)(*given)) == pytest.approx(expected, rel=1e-9)


def test_focal_by_hand_and_its_gradient_where_all_is_right():
    """One pixel, ŷ = 3/4, γ = 2: (1/4)² · log(4/3)."""
    scores = torch.tensor([math.log(3.0), 0.0], dtype=torch.double).view(1, 2, 1, 1)
    target = choices(torch.tensor([[[0]]]), 2)
    assert float(loss_named("focal")(scores, target, torch.ones(2).double())) == pytest.approx(math.log(4 / 3) / 16)
    sure = torch.tensor([200.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    loss_named("focal", 0.5)(sure, target, torch.ones(2)).backward()
    assert torch.isfinite(sure.grad).all()


def test_a_partial_label_is_right_when_any_of_its_classes_is_likely():
    """Probabilities 1/2, 1/4, 1/8, 1/8; the label leaves the last three open: −log 1/2, and α is their mean."""
    scores = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.double).log().view(1, 4, 1, 1)
    allowed = torch.tensor([False, True, True, True]).view(1, 4, 1, 1)
    weight = torch.tensor([9.0, 1.0, 2.0, 3.0], dtype=torch.double)
    both = torch.cat([scores, scores], 3)
    told = torch.cat([allowed, choices(torch.tensor([[[0]]]), 4)], 3)
    assert float(loss_named("ce")(scores, allowed, weight)) == pytest.approx(math.log(2))
    assert float(loss_named("ce")(both, told, weight)) == pytest.approx((2 + 9) / (2 + 9) * math.log(2))
    # Class 0 is known to be absent from the first pixel and to be the second's; of the others nothing is known there
    # but that they are not the second's, so only class 0 occurs: overlap 1/2, union (1/2 + 1/2) + 1 - 1/2.
    assert float(loss_named("iou")(both, told, weight)) == pytest.approx(1 - (1 / 2) / (3 / 2))


def test_sums_and_unknown_losses():
    scores = torch.randn(1, 3, 4, 4, dtype=torch.double, generator=torch.Generator().manual_seed(3))
    given = scores, choices(torch.randint(0, 3, (1, 4, 4)), 3), torch.ones(3).double()
    parts = [float(loss_named(name)(*given)) for name in ("ce", "focal", "iou")]
    assert float(loss_named("ce + focal+iou")(*given)) == pytest.approx(sum(parts))
    for text in ("dice", "ce+", "", "CE"):
        with pytest.raises(UsageError, match="--loss"):
            loss_named(text)


def test_the_soft_iou_of_millions_of_pixels_is_exact():
    """Summed one by one in float32 it was 0.0008 here, and below zero for larger batches."""
    sure = torch.tensor([0.985, 0.015]).log().view(1, 2, 1, 1).expand(8, 2, 256, 256).contiguous()
    allowed = torch.tensor([True, False]).view(1, 2, 1, 1).expand_as(sure)
    assert float(loss_named("iou")(sure, allowed, torch.ones(2))) == pytest.approx(0.015, abs=1e-5)
