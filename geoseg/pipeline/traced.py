"""Class rows traced as they come: vector layers and the final class raster.

Importing this loads the tracer and its compiler, so only a run that wants polygons does.
"""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoseg.layers.features import WantedLayers
from geoseg.layers.raster import ClassRasterWriter
from geoseg.layers.vector import write_layers
from geoseg.pipeline.accounts import tallied, timed
from geoseg.pipeline.centerlines import CenterlineLayer, write_centerlines
from geoseg.pipeline.outputs import chosen_classes
from geoseg.pipeline.plan import least_areas
from geoseg.pipeline.roles import class_called
from geoseg.vector.attributes import chosen_attributes
from geoseg.vector.burn import final_rows
from geoseg.vector.clip import clipped
from geoseg.vector.polygonize import Tracing, polygonize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class ToTrace:
    """Class rows of one scene, on their way to polygons."""

    rows: Iterable[ClassRows]
    plan: Plan
    border: Any | None
    """What polygons are cut along, a shapely geometry in the scene's CRS; None cuts nothing."""
    final: Path | None = None
    """Where the final class raster of the scene goes."""


def write_traced(
    scenes: Sequence[ToTrace],
    request: SegmentRequest,
    legend: Legend,
    publication: Publication,
    report: SegmentReport,
) -> None:
    """Trace class rows as they come and write the layers and the final class rasters; fills the report.

    Args:
        scenes: of one CRS; usually one. Their polygons go to the same layers.
        request: what is wanted.
        legend: the classes there are.
        publication: what the files belong to.
        report: what to add to.
    """
    output, vectors, seconds = request.output, request.vectors, report.seconds
    least, grid = least_areas(vectors.min_area_m2, legend), scenes[0].plan.trace.grid
    how = tracing(vectors, legend, request.runs_on.threads)
    kept: list[list[Polygons]] = [[] for _ in scenes]
    lines = [CenterlineLayer(one.plan.trace.grid, legend, one.border) for one in scenes if vectors.centerlines]
    polygons = timed(
        (
            batch
            for i, one in enumerate(scenes)
            for batch in _keeping(
                _inside(traced(one.rows, one.plan.trace.grid, legend, how, lines[i] if lines else None), one),
                kept[i] if one.final is not None else None,
            )
        ),
        seconds,
        "vector",
    )
    began = time.perf_counter()
    if output.layers is not None:
        chosen = chosen_classes(vectors, legend)
        provenance = report.provenance() | vectors.said(least, legend)
        path = publication.add(output.layers)
        wanted = WantedLayers(chosen, chosen_attributes(vectors.attributes, grid), output.rfc7946)
        written = write_layers(path, wanted, polygons, grid, provenance)
        report.warnings += written.notes
        extra = [write_centerlines(path, lines, grid.crs)] if lines else []
        report.layers = tallied(chosen, written) + extra
    else:
        deque(polygons, maxlen=0)
    for one, finished in zip(scenes, kept, strict=True):
        if one.final is not None:
            path, on = publication.add(one.final), one.plan.scene.grid
            with ClassRasterWriter(path, on, legend, report.provenance(), output.creation) as writer:
                for final in final_rows(finished, on):
                    writer.write(final)
    # Polygons were drawn from the rows as they came: what making the rows took is not theirs.
    drawn, rows_took = seconds["vector"], seconds["forward"] + seconds["write"]
    seconds["write"] += time.perf_counter() - began - drawn
    seconds["vector"] = max(0.0, drawn - rows_took)


def _inside(polygons: Iterable[Polygons], scene: ToTrace) -> Iterator[Polygons]:
    """Return polygons cut along the scene's border."""
    if scene.border is None:
        return iter(polygons)
    return (clipped(batch, scene.border, scene.plan.trace.grid) for batch in polygons)


def _keeping(polygons: Iterable[Polygons], kept: list[Polygons] | None) -> Iterator[Polygons]:
    """Pass polygons on and keep them, where there is something to keep them in."""
    for batch in polygons:
        if kept is not None:
            kept.append(batch)
        yield batch
