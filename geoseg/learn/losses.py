"""Losses: weighted cross-entropy and soft IoU, equations (1) and (3)–(4) of the 2022 paper on Dubai.

Hussein and Ali, IJEEE 18(1), 2022, https://doi.org/10.37917/ijeee.18.1.7. Pixels labelled ``IGNORED`` never count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100
"""Target of a pixel without a label."""


def cross_entropy(scores: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of −α_c · log ŷ over labelled pixels, divided by their summed α.

    Args:
        scores: (n, classes, h, w) before the softmax.
        target: (n, h, w) int64 class indices or ``IGNORED``.
        weight: (classes,) the α of each class.
    """
    return functional.cross_entropy(scores, target, weight=weight, ignore_index=IGNORED)


def soft_iou(scores: Tensor, target: Tensor) -> Tensor:
    """Return 1 − IoU, the soft Jaccard loss, averaged over the classes present in the batch.

    Overlap is Σ p·t and union Σ p + t − p·t over all labelled pixels of the batch, for each class.

    Args:
        scores: (n, classes, h, w) before the softmax.
        target: (n, h, w) int64 class indices or ``IGNORED``.
    """
    labelled = (target != IGNORED).unsqueeze(1)
    probability = scores.softmax(1) * labelled
    truth = functional.one_hot(target.clamp_min(0), scores.shape[1]).permute(0, 3, 1, 2) * labelled
    overlap = (probability * truth).sum((0, 2, 3))
    union = (probability + truth).sum((0, 2, 3)) - overlap
    present = truth.sum((0, 2, 3)) > 0
    if not present.any():
        return scores.sum() * 0
    return 1 - (overlap[present] / union[present]).mean()


def ce_iou(scores: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return cross-entropy plus soft IoU: the recipe of the bundled model."""
    if not (target != IGNORED).any():
        return scores.sum() * 0
    return cross_entropy(scores, target, weight) + soft_iou(scores, target)
