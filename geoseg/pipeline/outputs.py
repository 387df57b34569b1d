"""The files of one run: checked before work begins, written while rows come, published together at the end."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar

from geoseg.errors import UsageError
from geoseg.layers.raster import ClassRasterWriter, ConfidenceWriter, check_raster
from geoseg.layers.vector import check_layers, write_layers
from geoseg.pipeline.centerlines import CenterlineLayer, road_class
from geoseg.pipeline.plan import least_areas
from geoseg.vector.burn import final_rows
from geoseg.vector.clip import clipped
from geoseg.vector.polygonize import polygonize
from geoseg.vocabulary import DEFAULT_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from geoseg.layers.publish import Publication
    from geoseg.layers.vector import WrittenLayers
    from geoseg.pipeline.plan import Plan
    from geoseg.pipeline.request import OutputRequest, SegmentReport, SegmentRequest, VectorRequest
    from geoseg.vocabulary import ClassRows, Grid, Legend, MapClass, Polygons

Item = TypeVar("Item")


def chosen_classes(wanted: VectorRequest, legend: Legend) -> tuple[MapClass, ...]:
    """Return the classes whose layers are written; of the default three, those the legend has.

    Raises:
        UsageError: a name is not in the legend.
    """
    if wanted.classes is not None:
        return legend.select(wanted.classes)
    known = [c.layer for c in legend if c.layer in DEFAULT_CLASSES.split(",")]
    return legend.select(",".join(known) if known else "all")


def check_outputs(output: OutputRequest, vectors: VectorRequest, legend: Legend, grid: Grid) -> None:
    """Refuse before any work what could not be written at the end.

    Raises:
        UsageError: an unknown ending, class or layer, ``--rfc7946`` without GeoJSON, or centrelines without roads.
        OutputError: the format cannot hold the CRS.
    """
    chosen_classes(vectors, legend)
    for raster in (output.raster, output.raster_final, output.confidence):
        if raster is not None:
            check_raster(raster)
    if output.creation and not (output.has_rasters or output.raster_final):
        raise UsageError("--co is about rasters; give it with --raster, --raster-final or --confidence")
    if output.layers is not None:
        check_layers(output.layers, grid, rfc7946=output.rfc7946)
    elif output.rfc7946:
        raise UsageError("--rfc7946 is about GeoJSON; give an --out that ends in .geojson")
    least_areas(vectors.min_area_m2, legend)
    if vectors.centerlines:
        road_class(legend)


class RasterSinks:
    """The class and confidence rasters of a run, fed with the same rows."""

    def __init__(
        self,
        publication: Publication,
        output: OutputRequest,
        grid: Grid,
        legend: Legend,
        tags: Mapping[str, str],
    ) -> None:
        self._stack = ExitStack()
        self._writers: list[ClassRasterWriter | ConfidenceWriter] = []
        with ExitStack() as opening:
            if output.raster is not None:
                path = publication.add(output.raster)
                self._writers.append(
                    opening.enter_context(ClassRasterWriter(path, grid, legend, tags, output.creation))
                )
            if output.confidence is not None:
                path = publication.add(output.confidence)
                self._writers.append(opening.enter_context(ConfidenceWriter(path, grid, tags, output.creation)))
            self._stack = opening.pop_all()

    def write(self, rows: ClassRows) -> None:
        """Write the next rows to every raster."""
        for writer in self._writers:
            writer.write(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


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
    polygons = polygonize(
        rows,
        grid=plan.trace.grid,
        legend=legend,
        min_area_m2=least,
        simplify_px=vectors.simplify_px,
        split_px=vectors.split_px,
        threads=request.runs_on.threads or os.cpu_count() or 1,
        **({"also": lines.see} if lines else {}),
    )
    if lines is not None:
        polygons = lines.after(polygons)
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
        written = write_layers(path, chosen, polygons, plan.trace.grid, provenance, rfc7946=output.rfc7946, options={})
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


def tallied(chosen: Sequence[MapClass], written: WrittenLayers) -> list[dict[str, Any]]:
    """Return what a report says of the layers of some classes."""
    return [
        {
            "name": entry.layer,
            "class": entry.name,
            "features": written.tallies[entry.value].features,
            "area_m2": round(written.tallies[entry.value].area_m2, 2),
        }
        for entry in chosen
    ]


def timed(items: Iterable[Item], seconds: dict[str, float], name: str) -> Iterator[Item]:
    """Pass items on, adding up the time it takes to make them."""
    items = iter(items)
    while True:
        began = time.perf_counter()
        item = next(items, None)
        seconds[name] += time.perf_counter() - began
        if item is None:
            return
        yield item


def _keeping(polygons: Iterable[Polygons], kept: list[Polygons]) -> Iterator[Polygons]:
    """Pass polygons on and keep them."""
    for batch in polygons:
        kept.append(batch)
        yield batch
