"""How well a map agrees with a reference: confusion counts and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.scores.figures import aligned, plain, shown
from geoseg.vocabulary import NODATA, Legend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vocabulary import MapClass


@dataclass(frozen=True, slots=True)
class Confusion:
    """Pixel counts of reference class by predicted class."""

    legend: Legend
    counts: NDArray[np.int64]
    """Shape (classes, classes + 1); rows are the reference, the last column is predicted nodata."""
    bucket: str | None = None
    """Name of the class that stands for everything not scored: it counts in the matrix and in pixel accuracy,
    but has no scores of its own and no part in the mean IoU."""
    ruled_out: NDArray[np.int64] | None = None
    """Shape (classes,), by predicted class: pixels whose reference names several classes, and not the predicted one.
    None where no reference pixel does so."""
    not_ruled_out: int = 0
    """Pixels whose reference names several classes, and the predicted one among them."""

    @classmethod
    def empty(cls, legend: Legend, bucket: str | None = None) -> Confusion:
        """Return a confusion of no pixels."""
        return cls(legend, np.zeros((len(legend), len(legend) + 1), np.int64), bucket)

    def add(self, predicted: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Confusion:
        """Return the confusion with the pixels of two class arrays of one shape added.

        Pixels whose reference is nodata, or a value the legend does not have, do not count; a pixel predicted
        as nodata, or as a value the legend does not have, counts as wrong.
        """
        pairs = reference.astype(np.uint16).ravel() << 8 | predicted.ravel()
        seen = np.bincount(pairs, minlength=2**16).reshape(256, 256)
        values = [entry.value for entry in self.legend]
        seen[:, NODATA] += seen.sum(1) - seen[:, [NODATA, *values]].sum(1)
        return replace(self, counts=self.counts + seen[np.ix_(values, [*values, NODATA])])

    def add_partly_known(
        self, predicted: NDArray[np.uint8], reference: NDArray[np.uint8], allowed: NDArray[np.bool_]
    ) -> Confusion:
        """Return the confusion with pixels added whose reference may say several classes.

        Of those, a predicted class that the reference rules out counts as found where it is not; any other counts in
        pixel accuracy alone, as the reference agrees with it.

        Args:
            predicted: (h, w) legend values.
            reference: (h, w) label values.
            allowed: (256, classes) classes that a pixel of each label value can be of; all where nothing is known.
        """
        values = np.array([entry.value for entry in self.legend])
        certain = allowed.sum(1) == 1
        one = np.where(certain, values[allowed.argmax(1)], NODATA).astype(np.uint8)
        partly = (~certain & ~allowed.all(1))[reference]
        if not partly.any():
            return self.add(predicted, one[reference])
        found = [partly & (predicted == value) for value in values]
        wrong = [np.count_nonzero(here & ~allowed[:, i][reference]) for i, here in enumerate(found)]
        right = int(sum(map(np.count_nonzero, found)) - sum(wrong))
        return replace(
            self.add(predicted, one[reference]),
            ruled_out=self._wrongly_found() + np.array(wrong, np.int64),
            not_ruled_out=self.not_ruled_out + right,
        )

    @property
    def scored(self) -> tuple[MapClass, ...]:
        """The classes that have scores of their own: all but the bucket."""
        return tuple(entry for entry in self.legend if entry.name != self.bucket)

    @property
    def pixel_accuracy(self) -> float:
        """Share of labelled pixels that are right, or not ruled out; NaN without labelled pixels."""
        right = np.trace(self.counts) + self.not_ruled_out
        return _ratio(right, self.counts.sum() + self.not_ruled_out + self._wrongly_found().sum())

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union per class, shape (classes,); NaN for a class neither map has.

        Where the reference is partly known, NaN for every class that it does not name for certain, too: nothing says
        where those are.
        """
        right = np.diag(self.counts)
        union = self.counts.sum(1) + self.counts[:, :-1].sum(0) + self._wrongly_found() - right
        if self.ruled_out is not None:
            union[self.counts.sum(1) == 0] = 0
        iou = np.full(len(right), np.nan)
        np.divide(right, union, out=iou, where=union > 0)
        return iou

    @property
    def mean_iou(self) -> float:
        """Mean of the scored classes' IoU, over those that have one."""
        iou = self.iou[[entry.name != self.bucket for entry in self.legend]]
        return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values (NaN becomes None); field names as in ``docs/evaluation.md``."""
        classes = {}
        for i, entry in enumerate(self.legend):
            if entry.name == self.bucket:
                continue
            right = self.counts[i, i]
            support, predicted = self.counts[i].sum(), self.counts[:, i].sum() + self._wrongly_found()[i]
            classes[entry.name] = {
                "iou": plain(self.iou[i]),
                "f1": plain(_ratio(2 * right, support + predicted)),
                "precision": plain(_ratio(right, predicted)),
                "recall": plain(_ratio(right, support)),
                "support": int(support),
            }
        return {
            "pixel_accuracy": plain(self.pixel_accuracy),
            "mean_iou": plain(self.mean_iou),
            "classes": classes,
            "confusion": self.counts.tolist(),
            **({} if self.ruled_out is None else self._partly_known()),
        }

    def _partly_known(self) -> dict[str, Any]:
        return {"ruled_out": self._wrongly_found().tolist(), "not_ruled_out": self.not_ruled_out}

    def _wrongly_found(self) -> NDArray[np.int64]:
        return np.zeros(len(self.legend), np.int64) if self.ruled_out is None else self.ruled_out

    def to_text(self) -> str:
        """Return the scores and the matrix as lines of aligned text."""
        found = self.to_json()
        names = ("iou", "f1", "precision", "recall")
        scores = [["class", "IoU", "F1", "precision", "recall", "support"]]
        for name, score in found["classes"].items():
            scores.append([name, *(shown(score[one]) for one in names), f"{score['support']:,}"])
        order = [entry.name for entry in self.legend]
        matrix = [["reference \\ predicted", *order, "nodata"]]
        for name, row in zip(order, self.counts.tolist(), strict=True):
            matrix.append([name, *(f"{count:,}" for count in row)])
        partly = self.not_ruled_out + int(self._wrongly_found().sum())
        of = f"{self.counts.sum() + partly:,} pixels" + (f", {partly:,} of them partly known" if partly else "")
        summary = [
            f"mean IoU        {shown(found['mean_iou'])}",
            f"pixel accuracy  {shown(found['pixel_accuracy'])}  of {of}",
        ]
        return "\n".join([*aligned(scores), "", *summary, "", *aligned(matrix)])


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
