"""Trace one belt: from its runs to simplified arcs and the faces between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.arcs import UNITS, follow
from geoseg.vector.cracks import find_cracks
from geoseg.vector.merging import sums
from geoseg.vector.simplify import simplify
from geoseg.vector.smooth import smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vector.arcs import Arcs
    from geoseg.vector.belts import Belt


@dataclass(frozen=True, slots=True)
class Traced:
    """A belt's arcs and faces. Faces are numbered by their first pixel, the row above included."""

    arcs: Arcs
    """In ``UNITS`` of a pixel."""
    values: NDArray[np.uint8]
    """Shape (faces,), class values."""
    percents: NDArray[np.int64]
    """Shape (faces,), sum of the confidences that count."""
    counted: NDArray[np.int64]
    """Shape (faces,), pixels whose confidence counts."""
    above: NDArray[np.int64]
    """Face of each run of the row above the belt; empty where there is none."""
    last: NDArray[np.int64]
    """Face of each run of the belt's last row; empty where no belt follows."""
    line: int | None
    """Row where the next belt begins; None where none follows."""


def trace(belt: Belt, tolerance_px: float, smoothed: bool = False, square: int | None = None) -> Traced:
    """Return the arcs of a belt, simplified, and its faces.

    Args:
        belt: its rows.
        tolerance_px: see `geoseg.vector.simplify.simplify`.
        smoothed: whether corners are cut, see `geoseg.vector.smooth`.
        square: a class that will be squared, and is not smoothed; None for none.
    """
    runs = belt.runs
    cracks = find_cracks(runs, belt.top - belt.above, above=belt.above, below=belt.below)
    arcs = simplify(follow(cracks, runs.width), tolerance_px, runs.width, top=belt.top, bottom=belt.bottom)
    arcs = replace(arcs, xy=arcs.xy * (UNITS // 2))
    inner = slice(runs.first[int(belt.above)], len(cracks.face))
    values = np.zeros(cracks.faces, np.uint8)
    values[cracks.face] = runs.values[: len(cracks.face)]
    if smoothed:
        of_square = np.append(values == square, False)
        arcs = smooth(arcs, of_square[arcs.left] | of_square[arcs.right])
    face = cracks.face[inner]
    percents, counted = (sums(face, cracks.faces, part[inner]) for part in (runs.percents, runs.counted))
    return Traced(
        arcs,
        values,
        percents,
        counted,
        above=cracks.face[: inner.start],
        last=cracks.face[runs.first[-3] :] if belt.below else cracks.face[:0],
        line=belt.bottom if belt.below else None,
    )
