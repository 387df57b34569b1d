"""How well borders agree: the boundary F1.

It is that of Csurka, Larlus and Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC 2013
(https://doi.org/10.5244/C.27.32), but for counts that are summed over all rows instead of scores averaged over images.
A border pixel of a class has a neighbour to the left, right, above or below that is of another class. Precision is
the share of predicted border pixels that lie within the tolerance of a border pixel of the same class in the reference,
recall the share of the reference's border pixels near predicted ones. Only labelled pixels count, in both maps: where a
label ends at unlabelled ground or at the frame there is no border.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import UsageError
from geoseg.scores.f1 import Found
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoseg.scores.compared import ComparedRows
    from geoseg.vocabulary import MapClass

TOLERANCE_PX = 2.0
"""Default tolerance in pixels."""

_FARTHEST = 256.0  # pixels; rows as far above and below are held in memory
_TOGETHER = 8  # classes that share the bits of a byte
_ROUNDING = 1e-9


class Borders:
    """Counts of border pixels, gathered from strips; holds as many rows as the tolerance reaches.

    Strips may have any height and are given in order from row 0.
    """

    def __init__(self, classes: Sequence[MapClass], tolerance: tuple[float, float], width: int) -> None:
        """Begin.

        Args:
            classes: what is scored.
            tolerance: how far borders may lie apart, in pixels along a column and along a row.
            width: pixels of a row.

        Raises:
            UsageError: the tolerance is negative, or so large that it means nothing.
        """
        if not all(0 <= reach <= _FARTHEST for reach in tolerance):
            raise UsageError(
                f"the tolerance of borders: {max(tolerance, key=abs):g} pixels is not between 0 and {_FARTHEST:g}; "
                "give a few pixels with --tolerance-px, or as many metres with --tolerance-m"
            )
        self._classes = tuple(classes)
        self._reach = _half_widths(*tolerance)
        self._margin = len(self._reach)  # rows: those within the tolerance, and one to tell borders by
        self._held = [np.zeros((0, width), np.uint8) for _ in range(2)]  # predicted and reference
        self._top = 0  # first row held
        self._done = 0  # rows counted
        self._counts = Found.nothing(tuple(entry.name for entry in classes))

    def add(self, rows: ComparedRows) -> None:
        """Add the next strip."""
        labelled = rows.reference != NODATA
        strips = np.where(labelled, rows.predicted, NODATA), rows.reference
        # Predicted nodata on labelled ground is no class, but borders on classes.
        strips[0][labelled & (rows.predicted == NODATA)] = 255
        self._held = [np.concatenate([held, strip]) for held, strip in zip(self._held, strips, strict=True)]
        self._count(rows.bottom - self._margin)

    def finish(self) -> Found:
        """Return the counts of all rows."""
        self._count(self._top + len(self._held[0]))
        return self._counts

    def _count(self, stop: int) -> None:
        """Count the rows before ``stop``, and let go of those that no other needs."""
        if stop <= self._done:
            return
        here = slice(self._done - self._top, stop - self._top)
        predicted, reference = self._held
        edges = [_edges(classes) for classes in self._held]
        for first in range(0, len(self._classes), _TOGETHER):
            group = slice(first, first + _TOGETHER)
            bit = np.zeros(256, np.uint8)
            for i, entry in enumerate(self._classes[group]):
                bit[entry.value] = 1 << i
            own = [np.where(edge, bit[classes], 0) for edge, classes in zip(edges, self._held, strict=True)]
            near = [_widened(bits, self._reach) for bits in own]
            self._tally(group, own[0][here], near[1][here], own[1][here], near[0][here])
        self._done = stop
        drop = max(0, stop - self._margin - self._top)
        self._held = [predicted[drop:], reference[drop:]]
        self._top += drop

    def _tally(self, group: slice, *bits: NDArray[np.uint8]) -> None:
        predicted, near_reference, reference, near_predicted = bits
        sums = np.zeros((4, len(self._classes)), np.int64)
        masks = predicted, predicted & near_reference, reference, reference & near_predicted
        for i, mask in enumerate(masks):
            seen = np.bincount(mask.ravel(), minlength=256)
            sums[i, group] = [seen[1 << k] for k in range(len(self._classes[group]))]
        self._counts += Found(self._counts.names, *sums)


def _edges(classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a labelled pixel has a labelled neighbour of another class, shape (height, width)."""
    edges = np.zeros(classes.shape, bool)
    for here, there in (
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        one, other = classes[here], classes[there]
        differ = (one != other) & (one != NODATA) & (other != NODATA)
        edges[here] |= differ
        edges[there] |= differ
    return edges


def _half_widths(down: float, across: float) -> list[int]:
    """Return how far an ellipse around a pixel's centre reaches along a row, by the distance of the row."""
    rows = range(math.floor(down + _ROUNDING) + 1)
    return [
        math.floor(across * math.sqrt(max(0.0, 1 - (row / down) ** 2 if down else 1.0)) + _ROUNDING) for row in rows
    ]


def _widened(bits: NDArray[np.uint8], reach: list[int]) -> NDArray[np.uint8]:
    """Return the bits of all pixels within reach of each pixel, joined by "or"; shape (height, width)."""
    near = np.zeros_like(bits)
    along = {half: _along_rows(bits, half) for half in set(reach)}
    for distance, half in enumerate(reach):
        wide = along[half]
        if distance == 0:
            near |= wide
        else:
            near[distance:] |= wide[:-distance]
            near[:-distance] |= wide[distance:]
    return near


def _along_rows(bits: NDArray[np.uint8], half: int) -> NDArray[np.uint8]:
    """Return the bits within ``half`` columns of each pixel, in steps that double."""
    size = 2 * half + 1
    padded = np.pad(bits, ((0, 0), (half, half)))
    covered = 1  # each pixel holds the bits of so many columns from its own on
    while covered < size:
        step = min(covered, size - covered)
        padded[:, :-step] |= padded[:, step:].copy()
        covered += step
    return padded[:, : bits.shape[1]]
