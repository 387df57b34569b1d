"""How many objects were found: polygons of two maps, matched one to one.

As in the SpaceNet building challenges (Van Etten, Lindenbaum and Bacastow 2018, https://arxiv.org/abs/1807.01232), two
polygons of one class match where their intersection over union is at least one half; of several possible partners the
one with the largest takes precedence. Polygons of one map that do not overlap can have but one partner above one half,
so the order then does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.scores.f1 import Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoseg.vocabulary import MapClass

LEAST_IOU = 0.5
"""Intersection over union from which on two polygons are the same object."""

_ROUNDING = 1e-9  # of an intersection over union: coordinates were brought onto the plane of a grid
_PAIRS = 4096  # of polygons intersected at a time


@dataclass(frozen=True, slots=True)
class Objects:
    """Polygons of a map on the plane of a common grid."""

    geometry: NDArray[np.object_]
    """Shape (n,), valid shapely Polygons."""
    values: NDArray[np.uint8]
    """Shape (n,), legend values."""


def match_objects(
    predicted: Objects, reference: Objects, classes: Sequence[MapClass], least_iou: float = LEAST_IOU
) -> Found:
    """Return how many objects of each class have a partner in the other map.

    Args:
        predicted: polygons of the prediction, in the same coordinates as the reference's.
        reference: polygons of the reference.
        classes: what is scored.
        least_iou: see ``LEAST_IOU``.
    """
    counts = np.zeros((3, len(classes)), np.int64)
    for i, entry in enumerate(classes):
        ours = predicted.geometry[predicted.values == entry.value]
        theirs = reference.geometry[reference.values == entry.value]
        counts[:, i] = len(ours), len(partners(ours, theirs, least_iou)), len(theirs)
    return Found(tuple(entry.name for entry in classes), counts[0], counts[1], counts[2], counts[1])


def partners(ours: NDArray[np.object_], theirs: NDArray[np.object_], least_iou: float = LEAST_IOU) -> NDArray[np.int64]:
    """Return which polygons of two sets belong together, best pairs first, none twice; shape (pairs, 2)."""
    one, other = shapely.STRtree(theirs).query(ours, predicate=None) if len(theirs) else np.zeros((2, 0), int)
    sizes = shapely.area(ours), shapely.area(theirs)
    small, large = (find(sizes[0][one], sizes[1][other]) for find in (np.minimum, np.maximum))
    least_iou -= _ROUNDING
    likely = small >= least_iou * large  # no more than the smaller can be shared, and the union holds the larger
    one, other = one[likely], other[likely]
    iou = np.empty(len(one))
    for first in range(0, len(one), _PAIRS):
        here = slice(first, first + _PAIRS)
        shared = shapely.area(shapely.intersection(ours[one[here]], theirs[other[here]]))
        union = sizes[0][one[here]] + sizes[1][other[here]] - shared
        iou[here] = shared / np.maximum(union, np.finfo(float).tiny)
    good = np.flatnonzero(iou >= least_iou)
    good = good[np.lexsort((other[good], one[good], -iou[good]))]
    taken_one, taken_other = np.zeros(len(ours), bool), np.zeros(len(theirs), bool)
    pairs = []
    for i in good:
        if not (taken_one[one[i]] or taken_other[other[i]]):
            taken_one[one[i]] = taken_other[other[i]] = True
            pairs.append((one[i], other[i]))
    return np.array(pairs, np.int64).reshape(-1, 2)
