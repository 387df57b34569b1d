"""Precision, recall and F1 of things that are found or missed, one row per class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.scores.figures import plain, ratios

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Found:
    """Counts of things, such as objects or border pixels, by class. Counts of parts add up to those of the whole."""

    names: tuple[str, ...]
    """Class names."""
    predicted: NDArray[np.int64]
    """Shape (classes,), things in the prediction."""
    right: NDArray[np.int64]
    """Shape (classes,), those of them that the reference has, too."""
    reference: NDArray[np.int64]
    """Shape (classes,), things in the reference."""
    found: NDArray[np.int64]
    """Shape (classes,), those of them that the prediction has, too."""

    @classmethod
    def nothing(cls, names: tuple[str, ...]) -> Found:
        """Return counts of nothing."""
        zero = np.zeros(len(names), np.int64)
        return cls(names, zero, zero, zero, zero)

    def __add__(self, other: Found) -> Found:
        """Return the counts of both; raises ValueError where they are of different classes."""
        if self.names != other.names:
            raise ValueError(f"counts of {self.names} and of {other.names}")
        return Found(
            self.names,
            self.predicted + other.predicted,
            self.right + other.right,
            self.reference + other.reference,
            self.found + other.found,
        )

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of predicted things that are right, shape (classes,); NaN where nothing was predicted."""
        return ratios(self.right, self.predicted)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the reference's things that were found, shape (classes,); NaN where there are none."""
        return ratios(self.found, self.reference)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall, shape (classes,).

        0 where only one of the maps has things of the class, NaN where neither has.
        """
        precision, recall = np.nan_to_num(self.precision), np.nan_to_num(self.recall)
        f1 = ratios(2 * precision * recall, precision + recall)
        return np.where(self.predicted + self.reference > 0, np.nan_to_num(f1), np.nan)

    @property
    def mean_f1(self) -> float:
        """Mean F1 of the classes that either map has; NaN where there are none."""
        return float(np.nanmean(self.f1)) if np.isfinite(self.f1).any() else float("nan")

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return scores and counts by class name as JSON values; NaN becomes None."""
        return {
            name: {
                "precision": plain(self.precision[i]),
                "recall": plain(self.recall[i]),
                "f1": plain(self.f1[i]),
                "predicted": int(self.predicted[i]),
                "right": int(self.right[i]),
                "reference": int(self.reference[i]),
                "found": int(self.found[i]),
            }
            for i, name in enumerate(self.names)
        }
