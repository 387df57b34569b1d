"""Class rows traced as they come: vector layers and the final class raster.

Importing this loads the tracer and its compiler, so only a run that wants polygons does.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

from geoseg.layers.features import WantedLayers
from geoseg.layers.raster import ClassRasterWriter
from geoseg.layers.vector import write_layers
from geoseg.pipeline.accounts import tallied, timed
from geoseg.pipeline.centerlines import CenterlineLayer
from geoseg.pipeline.outputs import chosen_classes
from geoseg.pipeline.plan import least_areas
from geoseg.pipeline.roles import class_called
from geoseg.vector.attributes import chosen_attributes
from geoseg.vector.burn import final_rows
from geoseg.vector.clip import clipped
from geoseg.vector.polygonize import Tracing, polygonize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geoseg.layers.publish import Publication
    from geoseg.pipeline.plan import Plan
    from geoseg.pipeline.request import SegmentReport, SegmentRequest, VectorRequest
    from geoseg.vocabulary import ClassRows, Grid, Legend, Polygons


def tracing(vectors: VectorRequest, legend: Legend, threads: int | None) -> Tracing:
    """Return how polygons are to be traced.

    Args:
        vectors: what was asked for.
        legend: the classes there are.
        threads: belts traced at once; None for the number of processors.

    Raises:
        UsageError: a class is not in the legend.
    """
    return Tracing(
        least_areas(vectors.min_area_m2, legend),
        vectors.simplify_px,
        vectors.split_px,
        vectors.smooth,
        class_called(legend, "building", "--regularize").value if vectors.regularize else None,
        threads or os.cpu_count() or 1,
    )


def traced(
    rows: Iterable[ClassRows], grid: Grid, legend: Legend, how: Tracing, lines: CenterlineLayer | None
) -> Iterator[Polygons]:
    """Yield polygons of class rows, and let the centrelines, where they are wanted, see the rows on their way."""
    if lines is None:
        return polygonize(rows, grid, legend, how)
    return lines.after(polygonize(rows, grid, legend, how, also=lines.see))


def write_traced(
    rows: Iterable[ClassRows],
    request: SegmentRequest,
    plan: Plan,
    legend: Legend,
    publication: Publication,
    report: SegmentReport,
) -> None:
    """Trace class rows as they come and write the layers and the final class raster; fills the report."""
    output, vectors = request.output, request.vectors
    least = least_areas(vectors.min_area_m2, legend)
    lines = CenterlineLayer(plan.trace.grid, legend, plan.border) if vectors.centerlines else None
    polygons = traced(rows, plan.trace.grid, legend, tracing(vectors, legend, request.runs_on.threads), lines)
    if plan.border is not None:
        polygons = (clipped(batch, plan.border, plan.trace.grid) for batch in polygons)
    polygons = timed(polygons, report.seconds, "vector")
    kept: list[Polygons] = []
    if output.raster_final is not None:
        polygons = _keeping(polygons, kept)
    began = time.perf_counter()
    if output.layers is not None:
        chosen = chosen_classes(vectors, legend)
        provenance = report.provenance() | vectors.said(least, legend)
        path = publication.add(output.layers)
        wanted = WantedLayers(chosen, chosen_attributes(vectors.attributes, plan.trace.grid), output.rfc7946)
        written = write_layers(path, wanted, polygons, plan.trace.grid, provenance)
        report.warnings += written.notes
        report.layers = tallied(chosen, written) + ([lines.write(path)] if lines else [])
    else:
        deque(polygons, maxlen=0)
    if output.raster_final is not None:
        path = publication.add(output.raster_final)
        with ClassRasterWriter(path, plan.scene.grid, legend, report.provenance(), output.creation) as writer:
            for final in final_rows(kept, plan.scene.grid):
                writer.write(final)
    # Polygons were drawn from the rows as they came: what making the rows took is not theirs.
    drawn, rows_took = report.seconds["vector"], report.seconds["forward"] + report.seconds["write"]
    report.seconds["write"] += time.perf_counter() - began - drawn
    report.seconds["vector"] = max(0.0, drawn - rows_took)


def _keeping(polygons: Iterable[Polygons], kept: list[Polygons]) -> Iterator[Polygons]:
    """Pass polygons on and keep them."""
    for batch in polygons:
        kept.append(batch)
        yield batch
