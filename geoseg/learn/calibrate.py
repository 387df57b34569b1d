"""Confidence that means what it says: one temperature for all scores.

Guo et al., On Calibration of Modern Neural Networks, 2017, https://arxiv.org/abs/1706.04599. Scores are divided by the
temperature before the softmax; what is most likely stays so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from geoseg.learn.scoring import iter_scores

if TYPE_CHECKING:
    from geoseg.learn.lesson import Lesson
    from geoseg.model.network import NetworkSpec

_PIXELS = 200_000
_SEED = 0


def temperature_of(spec: NetworkSpec, weights: dict[str, torch.Tensor], lesson: Lesson, device: str = "cpu") -> float:
    """Return the temperature that makes held-out labels most likely; 1 where no class is known for certain."""
    allowed = lesson.key.allowed()
    taken, random = [], np.random.default_rng(_SEED)
    each = max(1, _PIXELS // max(1, len(lesson.held_out)))
    for image, scores in iter_scores(spec, weights, lesson, lesson.held_out, device):
        certain = np.flatnonzero(allowed[image.labels.ravel()].sum(1) == 1)
        chosen = certain if len(certain) <= each else random.choice(certain, each, replace=False)
        target = allowed[image.labels.ravel()[chosen]].argmax(1)
        picked = scores.flatten(1)[:, torch.from_numpy(chosen).to(scores.device)].T.cpu()
        taken.append((picked, torch.from_numpy(target)))
    scores, target = (torch.cat(parts) for parts in zip(*taken, strict=True))
    return best_temperature(scores, target) if len(target) else 1.0


def best_temperature(scores: torch.Tensor, target: torch.Tensor) -> float:
    """Return the temperature of least cross-entropy, between a tenth and ten.

    Args:
        scores: (n, classes) before the softmax.
        target: (n,) class indices.
    """
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=50, line_search_fn="strong_wolfe")
    exact = scores.double()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(exact / log_temperature.exp(), target)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return round(float(log_temperature.detach().exp().clamp(0.1, 10.0)), 4)
