"""Losses: equations (1) to (4) of the 2022 paper on Dubai, and sums of them.

Hussein and Ali, IJEEE 18(1), 2022, https://doi.org/10.37917/ijeee.18.1.7. ŷ is the probability of the true class. Where
a pixel's label leaves several classes open, it is that of any of them (Cour, Sapp and Taskar, JMLR 12, 2011, call such
labels partial); a pixel that may be of every class never counts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from geoseg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

GAMMA = 2.0
"""Exponent of the focal loss where none is given, as in Lin et al., https://arxiv.org/abs/1708.02002."""


def loss_named(text: str, gamma: float = GAMMA) -> Loss:
    """Return the loss of a name: ``ce``, ``focal``, ``iou``, or a sum of them such as ``ce+iou``.

    Args:
        text: the name.
        gamma: exponent of the focal loss; 0 makes it the cross-entropy.

    Returns:
        A function of scores (n, classes, h, w) before the softmax; of ``allowed``, bool of the same shape, the classes
        that each pixel can be of, at least one; and of the α of each class, (classes,).

    Raises:
        UsageError: there is no such loss.
    """
    known: dict[str, Callable[[Tensor, _Said, Tensor], Tensor]] = {
        "ce": partial(_focal, gamma=0.0),
        "focal": partial(_focal, gamma=gamma),
        "iou": _soft_iou,
    }
    names = [name.strip() for name in text.split("+")]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--loss {text}: {unknown[0]!r} is none of {', '.join(known)}, nor a sum such as ce+iou")
    terms = [known[name] for name in names]

    def total(scores: Tensor, allowed: Tensor, weight: Tensor) -> Tensor:
        log_p, said = scores.log_softmax(1), _said(allowed)
        return torch.stack([term(log_p, said, weight) for term in terms]).sum()

    return total


class _Said(NamedTuple):
    """What the labels of a batch say: nearly all pixels are of one class, a few may be of one of several."""

    truth: Tensor
    """(n, h, w) int64, the class of a pixel that can be of one only; of the others the first that is allowed."""
    decided: Tensor
    """(n, h, w) bool, whether it can be of one only."""
    several: Tensor
    """(n, h, w) bool, whether it can be of more than one but not of all."""
    options: Tensor
    """(k, classes) bool, the classes allowed at the k pixels of ``several``."""


def _said(allowed: Tensor) -> _Said:
    count = allowed.sum(1)
    several = (count > 1) & (count < allowed.shape[1])
    return _Said(allowed.to(torch.uint8).argmax(1), count == 1, several, allowed.movedim(1, -1)[several])


def _focal(log_p: Tensor, said: _Said, weight: Tensor, gamma: float) -> Tensor:
    """Return equation (2): the mean of −α · (1 − ŷ)^γ · log ŷ over labelled pixels, divided by their mean α.

    With γ = 0 that is equation (1), the cross-entropy. The α of a pixel with several classes is their mean.
    """
    log_share = log_p.gather(1, said.truth[:, None])[:, 0]
    alpha = weight[said.truth] * said.decided
    if len(said.options):
        log_share, alpha = log_share.clone(), alpha.clone()
        log_share[said.several] = _rows(log_p, said).masked_fill(~said.options, -torch.inf).logsumexp(1)
        alpha[said.several] = (said.options * weight).sum(1) / said.options.sum(1)
    each = -alpha * log_share
    if gamma:
        each = each * (-torch.expm1(log_share)).clamp_min(1e-7) ** gamma
    return each.sum() / alpha.sum().clamp_min(1e-12)


def _soft_iou(log_p: Tensor, said: _Said, _weight: Tensor) -> Tensor:
    """Return equation (4), 1 − IoU, averaged over the classes that occur in the batch, whatever their α.

    Equation (3), IoU = overlap / union, with probabilities p and truth t: overlap is Σ p·t and union Σ p + t − p·t,
    for each class over the pixels of the batch for which it is known whether they are of that class.
    """
    classes, p = log_p.shape[1], log_p.exp()
    decided = said.decided.to(p.dtype)
    truth = said.truth.flatten()
    right = p.gather(1, said.truth[:, None])[:, 0] * decided
    # One after the other: in float32, millions are off by more than the loss of a network that is nearly right.
    both = torch.stack([right.flatten(), decided.flatten()], dim=1).double()
    overlap, occurs = p.new_zeros((classes, 2), dtype=torch.float64).index_add(0, truth, both).unbind(1)
    guessed = (p * decided[:, None]).sum((0, 2, 3))
    if len(said.options):
        guessed = guessed + (_rows(log_p, said).exp() * ~said.options).sum(0)
    present = occurs > 0
    if not present.any():
        return log_p.sum() * 0
    return 1 - (overlap[present] / (guessed + occurs - overlap)[present]).mean().to(p.dtype)


def _rows(log_p: Tensor, said: _Said) -> Tensor:
    """Return the log-probabilities at the pixels of ``said.several``, (k, classes)."""
    return log_p.movedim(1, -1)[said.several]
