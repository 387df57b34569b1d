"""Put belts together: faces that no later belt can reach are finished, and leave memory as polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.arcs import chosen, concatenated, renumbered
from geoseg.vector.cracks import OUTSIDE
from geoseg.vector.merging import numbered, sums, unite_all
from geoseg.vector.outlines import Outlines, outlines
from geoseg.vector.squaring import beside, squared, too_late
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vector.arcs import Arcs
    from geoseg.vector.trace import Traced


@dataclass(frozen=True, slots=True)
class FinishedFaces:
    """Faces of a class raster, complete, in the order of their first pixels."""

    values: NDArray[np.uint8]
    """Shape (n,), class values, never nodata."""
    confidence: NDArray[np.float64]
    """Shape (n,), 0 to 1, mean over the pixels whose confidence counts; NaN where there are none."""
    outlines: Outlines
    """Their rings."""


class Faces:
    """The faces of a raster whose belts come one by one; in memory are the arcs of those that still grow.

    Args:
        to_square: the class whose faces get right angles; None for none.
    """

    def __init__(self, to_square: int | None = None) -> None:
        self._to_square = to_square
        self._arcs: Arcs | None = None
        self._values = np.empty(0, np.uint8)
        self._amounts = np.empty((0, 2), np.int64)  # percents, counted
        self._seam = np.empty(0, np.int64)  # face of each run of the last row

    def add(self, belt: Traced) -> FinishedFaces:
        """Take the next belt and return the faces that are complete with it."""
        known = len(self._values)
        values = np.concatenate((self._values, belt.values))
        amounts = np.concatenate((self._amounts, np.stack((belt.percents, belt.counted), axis=1)))
        parent = np.arange(len(values))
        unite_all(parent, self._seam, belt.above + known)
        face, count = numbered(parent)
        by_face = np.zeros(count, np.uint8)
        by_face[face] = values
        amounts = np.stack([sums(face, count, part) for part in amounts.T], axis=1)

        arcs = renumbered(belt.arcs, np.arange(known, len(values)))
        arcs = renumbered(arcs if self._arcs is None else concatenated([self._arcs, arcs]), face)
        seam = face[belt.last + known]
        grows = np.zeros(count, np.bool_)
        grows[seam] = True
        waits = grows.copy()
        if self._to_square is not None:
            late = too_late(arcs, by_face == self._to_square, grows, belt.line)
            arcs = squared(arcs, by_face, (by_face == self._to_square) & ~late, grows)
            waits |= late | beside(arcs, late)
        complete = ~waits & (by_face != NODATA)
        drawn = outlines(arcs, complete)
        of_faces = np.flatnonzero(complete)
        with np.errstate(invalid="ignore"):
            confidence = amounts[of_faces, 0] / amounts[of_faces, 1] / 100
        finished = FinishedFaces(by_face[of_faces], confidence, drawn)

        # What is left: the arcs of faces that grow, and these faces.
        needed = waits & (by_face != NODATA)
        kept = _sides(arcs.left, needed) | _sides(arcs.right, needed)
        arcs = chosen(arcs, kept)
        alive = waits.copy()
        for side in (arcs.left, arcs.right):
            alive[side[side != OUTSIDE]] = True
        number = np.cumsum(alive) - 1
        self._arcs = renumbered(arcs, number)
        by_face[complete] = NODATA  # they are out; their borders with faces that grow are not
        self._values, self._amounts, self._seam = by_face[alive], amounts[alive], number[seam]
        return finished


def _sides(faces: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which faces are chosen; OUTSIDE never is."""
    return np.append(chosen, False)[faces]
