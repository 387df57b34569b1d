"""Objects of class rasters: the regions that ``segment`` and ``vectorize`` would make polygons of.

Regions under the smallest area of their class belong to what is around them, as in vector layers; specks of a few
pixels are no objects, in either map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.pipeline.plan import least_areas
from geoseg.scores.objects import Objects
from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vocabulary import NODATA, ClassRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geoseg.scores.compared import ComparedRows
    from geoseg.vocabulary import Grid, Legend


def predicted_objects(rows: Iterable[ComparedRows], grid: Grid, legend: Legend) -> Objects:
    """Return the regions of 4-connected pixels of the predicted map, on labelled ground only.

    Args:
        rows: all rows of the grid.
        grid: where they lie.
        legend: the classes there may be.
    """
    labelled = (
        ClassRows(strip.row, np.where(strip.reference == NODATA, np.uint8(NODATA), strip.predicted)) for strip in rows
    )
    return _traced(labelled, grid, legend)


def reference_objects(rows: Iterable[ComparedRows], grid: Grid, legend: Legend) -> Objects:
    """Return the regions of 4-connected pixels of the reference; arguments are those of `predicted_objects`."""
    return _traced((ClassRows(strip.row, strip.reference) for strip in rows), grid, legend)


def _traced(rows: Iterator[ClassRows], grid: Grid, legend: Legend) -> Objects:
    tracing = Tracing(least_areas({}, legend), simplify_px=0)
    batches = list(polygonize(rows, grid, legend, tracing))
    if not batches:
        return Objects(np.empty(0, object), np.empty(0, np.uint8))
    geometry = np.concatenate([batch.geometry for batch in batches])
    return Objects(geometry, np.concatenate([batch.values for batch in batches]))
