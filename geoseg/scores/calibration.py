"""Whether confidences mean what they say: the reliability table and the expected calibration error.

Both as in Guo et al. 2017, "On Calibration of Modern Neural Networks" (https://arxiv.org/abs/1706.04599).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.scores.figures import plain
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from geoseg.scores.compared import ComparedRows

BINS = 15
"""Bins of equal width from 0 to 1, as in the paper's tables."""

_PERCENTS = np.arange(101)


@dataclass(frozen=True, slots=True)
class Bin:
    """Pixels of similar confidence."""

    low: float
    """Confidences above this, 0 included in the first bin."""
    high: float
    """Confidences up to this."""
    pixels: int
    confidence: float
    """Mean confidence; NaN without pixels."""
    accuracy: float
    """Share of pixels that are right; NaN without pixels."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How many labelled pixels of each confidence are right. Counts of parts add up to those of the whole."""

    right: NDArray[np.int64]
    """Shape (101,), right pixels by percent."""
    pixels: NDArray[np.int64]
    """Shape (101,), all labelled pixels by percent."""

    @classmethod
    def empty(cls) -> Calibration:
        """Return a calibration of no pixels."""
        return cls(np.zeros(101, np.int64), np.zeros(101, np.int64))

    def __add__(self, other: Calibration) -> Calibration:
        """Return the counts of both."""
        return Calibration(self.right + other.right, self.pixels + other.pixels)

    def add(self, rows: ComparedRows, classes: Iterable[int] | None = None) -> Calibration:
        """Return the calibration with the labelled pixels of known confidence added.

        Args:
            rows: what to add.
            classes: values of those scored; other predictions are left out, since a confidence is that of one class,
                and not that of *any but the scored ones*. None takes all.
        """
        if rows.confidence is None:
            return self
        known = (rows.reference != NODATA) & (rows.confidence <= 100)
        if classes is not None:
            known &= np.isin(rows.predicted, list(classes))
        percent = rows.confidence[known]
        right = percent[(rows.predicted == rows.reference)[known]]
        return Calibration(
            self.right + np.bincount(right, minlength=101), self.pixels + np.bincount(percent, minlength=101)
        )

    def bins(self, count: int = BINS) -> list[Bin]:
        """Return the reliability table: bins of equal width, each without its lower end but with its upper one."""
        place = np.maximum(-(-_PERCENTS * count // 100) - 1, 0)
        pixels = np.bincount(place, self.pixels, count)
        sums = np.bincount(place, self.pixels * _PERCENTS / 100, count), np.bincount(place, self.right, count)
        with np.errstate(invalid="ignore", divide="ignore"):
            confidence, accuracy = (total / pixels for total in sums)
        return [
            Bin(i / count, (i + 1) / count, int(pixels[i]), float(confidence[i]), float(accuracy[i]))
            for i in range(count)
        ]

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap between confidence and accuracy of the bins, weighted by pixels."""
        total = self.pixels.sum()
        if total == 0:
            return float("nan")
        return float(sum(one.pixels * abs(one.accuracy - one.confidence) for one in self.bins() if one.pixels) / total)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the reliability table as JSON values."""
        return [
            {
                "low": round(one.low, 6),
                "high": round(one.high, 6),
                "pixels": one.pixels,
                "confidence": plain(one.confidence),
                "accuracy": plain(one.accuracy),
            }
            for one in self.bins()
        ]
