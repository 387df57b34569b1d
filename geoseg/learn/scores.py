"""How well a map agrees with a reference: confusion counts and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vocabulary import NODATA, Legend

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Confusion:
    """Pixel counts of reference class × predicted class."""

    legend: Legend
    counts: NDArray[np.int64]
    """Shape (classes, classes + 1); rows are the reference, the last column counts pixels predicted as nodata."""

    @classmethod
    def empty(cls, legend: Legend) -> Confusion:
        """Return a confusion of no pixels."""
        return cls(legend, np.zeros((len(legend), len(legend) + 1), np.int64))

    def add(self, predicted: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Confusion:
        """Return the confusion with the pixels of two class arrays of one shape added.

        Pixels whose reference is nodata, or a value the legend does not have, do not count; a pixel predicted as
        nodata counts as wrong.
        """
        size = len(self.legend)
        index = np.full(256, size, np.int64)
        for i, entry in enumerate(self.legend):
            index[entry.value] = i
        labelled = (reference != NODATA) & (index[reference] < size)
        pairs = index[reference[labelled]] * (size + 1) + index[predicted[labelled]]
        counted = np.bincount(pairs, minlength=size * (size + 1)).reshape(size, size + 1)
        return Confusion(self.legend, self.counts + counted)

    @property
    def pixel_accuracy(self) -> float:
        """Share of labelled pixels that are right; NaN without labelled pixels."""
        return _ratio(np.trace(self.counts), self.counts.sum())

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union per class, shape (classes,); NaN for a class neither map has."""
        right = np.diag(self.counts)
        union = self.counts.sum(1) + self.counts[:, :-1].sum(0) - right
        return np.divide(right, union, out=np.full(len(right), np.nan), where=union > 0)

    @property
    def mean_iou(self) -> float:
        """Mean of the classes' IoU, over the classes that occur in the reference or the prediction."""
        iou = self.iou
        return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values (NaN becomes None); field names as in DESIGN's ``evaluate``."""
        classes = {}
        for i, entry in enumerate(self.legend):
            right = self.counts[i, i]
            support, predicted = self.counts[i].sum(), self.counts[:, i].sum()
            classes[entry.name] = {
                "iou": _plain(self.iou[i]),
                "f1": _plain(_ratio(2 * right, support + predicted)),
                "precision": _plain(_ratio(right, predicted)),
                "recall": _plain(_ratio(right, support)),
                "support": int(support),
            }
        return {
            "pixel_accuracy": _plain(self.pixel_accuracy),
            "mean_iou": _plain(self.mean_iou),
            "classes": classes,
            "confusion": self.counts.tolist(),
        }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
