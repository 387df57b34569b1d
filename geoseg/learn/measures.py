"""What a comparison measures of a network: loss and two kinds of accuracy on patches, and its speed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geoseg.learn.losses import loss_named
from geoseg.learn.scoring import answering, normalized

if TYPE_CHECKING:
    from torch import Tensor

    from geoseg.learn.lesson import Lesson
    from geoseg.model.network import NetworkSpec

_SIDE = 572  # pixels: the picture of the paper's claim on speed
_REPEATS = 5


@dataclass(frozen=True, slots=True)
class Measures:
    """Loss and accuracy of a network on patches, two ways of counting."""

    loss: float
    accuracy: float
    """Share of pixels whose most likely class is the right one."""
    channel_accuracy: float
    """Share of right answers when every class of every pixel is a yes or no of its own: likely above one half is yes.
    With six classes, five noes a pixel are easy."""


def measures(
    spec: NetworkSpec,
    weights: dict[str, Tensor],
    lesson: Lesson,
    patches: tuple[Any, Any],
    by: tuple[str, Tensor],
    device: str,
) -> Measures:
    """Return loss and accuracies on patches.

    Args:
        spec: shape of the network.
        weights: its weights.
        lesson: the legend and the statistics.
        patches: pixels (n, bands, h, w) and label values (n, h, w).
        by: name of the loss, and α.
        device: where to compute.
    """
    pixels, labels = patches
    net = answering(spec, weights, device)
    with torch.inference_mode():
        scores = torch.cat([net(normalized(part, lesson, device)).float().cpu() for part in np.array_split(pixels, 7)])
    allowed = torch.from_numpy(lesson.key.allowed()[labels]).permute(0, 3, 1, 2)
    known = allowed.sum(1) == 1
    loss = float(loss_named(by[0])(scores, allowed, by[1]))
    right = (scores.argmax(1) == allowed.int().argmax(1))[known].float().mean()
    answers = (scores.softmax(1) > 0.5) == allowed
    channels = answers.permute(0, 2, 3, 1)[known].float().mean()
    return Measures(round(loss, 5), round(float(right), 5), round(float(channels), 5))


def forward_seconds(spec: NetworkSpec, weights: dict[str, Tensor], device: str) -> float:
    """Return the median time of a forward pass of a picture of 572 × 572, padded to the network's stride."""
    net = answering(spec, weights, device)
    side = _SIDE + -_SIDE % spec.stride
    picture = torch.zeros(1, spec.bands, side, side, device=device).contiguous(memory_format=torch.channels_last)
    taken = []
    with torch.inference_mode():
        for _ in range(_REPEATS + 1):
            began = time.perf_counter()
            net(picture).argmax(1).cpu()
            taken.append(time.perf_counter() - began)
    return median(taken[1:])
