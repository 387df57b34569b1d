"""Confidence that means what it says: one temperature for all scores.

Guo et al., On Calibration of Modern Neural Networks, 2017, https://arxiv.org/abs/1706.04599. Scores are divided by the
temperature before the softmax; what is most likely stays so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from geoseg.learn.scoring import halo_of, iter_scores

if TYPE_CHECKING:
    from geoseg.learn.lesson import Lesson
    from geoseg.model.network import NetworkSpec

_PIXELS = 200_000
_SEED = 0


def temperature_of(
    spec: NetworkSpec, weights: dict[str, torch.Tensor], lesson: Lesson, device: str = "cpu"
) -> float | None:
    """Return the temperature that makes held-out labels most likely; None where none names one class.

    Labels that only rule classes out would make the model as sure as can be of the others.
    """
    allowed = lesson.key.allowed()
    says = np.asarray(~allowed.all(1))
    taken, random = [], np.random.default_rng(_SEED)
    each = max(1, _PIXELS // max(1, len(lesson.held_out)))
    for image, scores in iter_scores(spec, weights, lesson, lesson.held_out, device, margin=halo_of(spec)):
        known = np.flatnonzero(says[image.labels.ravel()])
        chosen = known if len(known) <= each else random.choice(known, each, replace=False)
        picked = scores.flatten(1)[:, torch.from_numpy(chosen).to(scores.device)].T.cpu()
        taken.append((picked, torch.from_numpy(allowed[image.labels.ravel()[chosen]])))
    scores, choices = (torch.cat(parts) for parts in zip(*taken, strict=True))
    return best_temperature(scores, choices) if (choices.sum(1) == 1).any() else None


def best_temperature(scores: torch.Tensor, choices: torch.Tensor) -> float:
    """Return the temperature that makes labels most likely, between a tenth and ten.

    Args:
        scores: (n, classes) before the softmax.
        choices: (n, classes) bool, the classes a pixel can be of: its label is as likely as they are together.
    """
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=50, line_search_fn="strong_wolfe")
    exact, ruled_out = scores.double(), ~choices

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logs = (exact / log_temperature.exp()).log_softmax(1)
        loss = -logs.masked_fill(ruled_out, -torch.inf).logsumexp(1).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return round(float(log_temperature.detach().exp().clamp(0.1, 10.0)), 4)
