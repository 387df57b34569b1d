"""Losses: equations (1) to (4) of the 2022 paper on Dubai, and sums of them.

Hussein and Ali, IJEEE 18(1), 2022, https://doi.org/10.37917/ijeee.18.1.7. ŷ is the probability of the true class. Where
a pixel's label leaves several classes open, it is that of any of them (Cour, Sapp and Taskar, JMLR 12, 2011, call such
labels partial); a pixel that may be of every class never counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geoseg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

GAMMA = 2.0
"""Exponent of the focal loss where none is given, as in Lin et al., https://arxiv.org/abs/1708.02002."""


def cross_entropy(scores: Tensor, allowed: Tensor, weight: Tensor) -> Tensor:
    """Return equation (1): the mean of −α · log ŷ over labelled pixels, divided by their mean α.

    Args:
        scores: (n, classes, h, w) before the softmax.
        allowed: (n, classes, h, w) bool, the classes that each pixel can be of; at least one.
        weight: (classes,) the α of each class; that of a pixel with several is their mean.
    """
    return focal(scores, allowed, weight, gamma=0.0)


def focal(scores: Tensor, allowed: Tensor, weight: Tensor, gamma: float = GAMMA) -> Tensor:
    """Return equation (2): the mean of −α · (1 − ŷ)^γ · log ŷ over labelled pixels, divided by their mean α.

    Args:
        scores: (n, classes, h, w) before the softmax.
        allowed: (n, classes, h, w) bool, the classes that each pixel can be of; at least one.
        weight: (classes,) the α of each class.
        gamma: how much less a pixel counts that is right already; 0 makes it the cross-entropy.
    """
    log_share = _log_share(scores, allowed)
    alpha = _alpha(allowed, weight)
    each = -alpha * log_share
    if gamma:
        each = each * (-torch.expm1(log_share)).clamp_min(1e-7) ** gamma
    return each.sum() / alpha.sum().clamp_min(1e-12)


def soft_iou(scores: Tensor, allowed: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return equation (4), 1 − IoU, averaged over the classes that occur in the batch.

    Equation (3), IoU = overlap / union, with probabilities p and truth t: overlap is Σ p·t and union Σ p + t − p·t,
    for each class over the pixels of the batch for which it is known whether they are of that class.

    Args:
        scores: (n, classes, h, w) before the softmax.
        allowed: (n, classes, h, w) bool, the classes that each pixel can be of; at least one.
        weight: not used; every class counts the same.
    """
    del weight
    decided = allowed.sum(1, keepdim=True) == 1
    known = decided | ~allowed
    truth = (allowed & decided).to(scores.dtype)
    probability = scores.softmax(1) * known
    overlap = (probability * truth).sum((0, 2, 3))
    union = (probability + truth).sum((0, 2, 3)) - overlap
    present = truth.sum((0, 2, 3)) > 0
    if not present.any():
        return scores.sum() * 0
    return 1 - (overlap[present] / union[present]).mean()


def loss_named(text: str, gamma: float = GAMMA) -> Loss:
    """Return the loss of a name: ``ce``, ``focal``, ``iou``, or a sum of them such as ``ce+iou``.

    Raises:
        UsageError: there is no such loss.
    """

    def focal_loss(scores: Tensor, allowed: Tensor, weight: Tensor) -> Tensor:
        return focal(scores, allowed, weight, gamma)

    known: dict[str, Loss] = {"ce": cross_entropy, "focal": focal_loss, "iou": soft_iou}
    names = [name.strip() for name in text.split("+")]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--loss {text}: {unknown[0]!r} is none of {', '.join(known)}, nor a sum such as ce+iou")
    terms = [known[name] for name in names]

    def total(scores: Tensor, allowed: Tensor, weight: Tensor) -> Tensor:
        return torch.stack([term(scores, allowed, weight) for term in terms]).sum()

    return total


def _log_share(scores: Tensor, allowed: Tensor) -> Tensor:
    """Return log ŷ, (n, h, w): the logarithm of the probability that a pixel is of an allowed class."""
    return scores.masked_fill(~allowed, -torch.inf).logsumexp(1) - scores.logsumexp(1)


def _alpha(allowed: Tensor, weight: Tensor) -> Tensor:
    """Return α of each pixel, (n, h, w): 0 where every class is allowed."""
    count = allowed.sum(1)
    mean = torch.einsum("nchw,c->nhw", allowed.to(weight.dtype), weight) / count
    return mean * (count < allowed.shape[1])
