"""How sure scores are: a bootstrap over images (Efron 1979, https://doi.org/10.1214/aos/1176344552)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoseg.scores.confusion import Confusion

RESAMPLES = 1000
"""Times that images are drawn with replacement."""

_SEED = 0
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Intervals:
    """Between which values scores lie with 95 % confidence, were other images of the same kind scored."""

    pixel_accuracy: tuple[float, float]
    mean_iou: tuple[float, float]

    def to_json(self) -> dict[str, list[float]]:
        """Return lower and upper ends as JSON values."""
        return {name: [round(end, 6) for end in getattr(self, name)] for name in ("pixel_accuracy", "mean_iou")}


def bootstrap(images: Sequence[Confusion], resamples: int = RESAMPLES) -> Intervals | None:
    """Return percentile intervals of the scores of all images together; None for fewer than two images.

    As many images as there are get drawn with replacement, their counts added up and scored; the middle 95 % of the
    scores of all draws is the interval. Draws without labelled pixels are left out.

    Args:
        images: one confusion per image, all of one legend.
        resamples: number of draws; their seed is fixed.
    """
    if len(images) < 2:
        return None
    counts = np.stack([image.counts for image in images])
    drawn = np.random.default_rng(_SEED).integers(0, len(images), (resamples, len(images)))
    scores = []
    for draw in drawn:
        times = np.bincount(draw, minlength=len(images))
        total = replace(images[0], counts=np.tensordot(times, counts, 1))
        scores.append((total.pixel_accuracy, total.mean_iou))
    tail = 100 * (1 - _LEVEL) / 2
    known = np.array(scores)[np.isfinite(scores).all(1)]
    if not len(known):
        return None
    (accuracy_low, iou_low), (accuracy_high, iou_high) = np.percentile(known, (tail, 100 - tail), axis=0).tolist()
    return Intervals((accuracy_low, accuracy_high), (iou_low, iou_high))
