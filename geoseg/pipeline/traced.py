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
from geoseg.pipeline.outputs import chosen_classes
from geoseg.pipeline.plan import least_areas
from geoseg.vector.attributes import chosen_attributes
from geoseg.vector.burn import final_rows
from geoseg.vector.clip import clipped
from geoseg.vector.polygonize import polygonize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geoseg.layers.publish import Publication
    from geoseg.pipeline.plan import Plan
    from geoseg.pipeline.request import SegmentReport, SegmentRequest
    from geoseg.vocabulary import ClassRows, Legend, Polygons


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
    polygons = polygonize(
        rows,
        grid=plan.trace.grid,
        legend=legend,
        min_area_m2=least,
        simplify_px=vectors.simplify_px,
        split_px=vectors.split_px,
        threads=request.runs_on.threads or os.cpu_count() or 1,
    )
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
        report.layers = tallied(chosen, written)
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
