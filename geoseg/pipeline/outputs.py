"""The files of one run: checked before work begins, written while rows come, published together at the end."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from geoseg.errors import UsageError
from geoseg.layers.raster import ClassRasterWriter, ConfidenceWriter, check_raster
from geoseg.layers.vector import check_layers, write_layers
from geoseg.pipeline.plan import least_areas
from geoseg.vector.burn import final_classes
from geoseg.vector.clip import clipped
from geoseg.vector.polygonize import polygonize
from geoseg.vocabulary import DEFAULT_CLASSES, ClassRows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from geoseg.layers.publish import Publication
    from geoseg.pipeline.canvas import Canvas
    from geoseg.pipeline.plan import Plan
    from geoseg.pipeline.request import OutputRequest, SegmentReport, SegmentRequest, VectorRequest
    from geoseg.vocabulary import Grid, Legend, MapClass


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
        UsageError: an unknown ending, class or layer, or ``--rfc7946`` without GeoJSON.
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
    canvas: Canvas,
    request: SegmentRequest,
    plan: Plan,
    legend: Legend,
    publication: Publication,
    report: SegmentReport,
) -> None:
    """Trace the canvas and write the layers and the final class raster; fills the report's layers and seconds."""
    output, vectors = request.output, request.vectors
    began = time.perf_counter()
    polygons = polygonize(
        canvas.classes,
        canvas.confidence,
        grid=canvas.grid,
        legend=legend,
        min_area_m2=least_areas(vectors.min_area_m2, legend),
        simplify_px=vectors.simplify_px,
    )
    if plan.border is not None:
        polygons = clipped(polygons, plan.border, canvas.grid)
    traced = time.perf_counter()
    report.seconds["vector"] += traced - began
    if output.layers is not None:
        layers = [(entry, polygons.of_class(entry.value)) for entry in chosen_classes(vectors, legend)]
        provenance = report.provenance() | {
            "min_area_m2": {
                legend.by_value(v).name: area for v, area in least_areas(vectors.min_area_m2, legend).items()
            },
            "simplify_px": vectors.simplify_px,
        }
        path = publication.add(output.layers)
        report.warnings += write_layers(path, layers, canvas.grid, provenance, rfc7946=output.rfc7946, options={})
        report.layers = [
            {
                "name": entry.layer,
                "class": entry.name,
                "features": len(of_class.values),
                "area_m2": round(float(of_class.area_m2.sum()), 2),
            }
            for entry, of_class in layers
        ]
    if output.raster_final is not None:
        path = publication.add(output.raster_final)
        with ClassRasterWriter(path, plan.scene.grid, legend, report.provenance(), output.creation) as writer:
            writer.write(ClassRows(0, final_classes(polygons, plan.scene.grid)))
    if not canvas.classes.any():
        report.warnings.append(f"{report.scene}: every pixel is nodata, so the layers are empty")
    report.seconds["write"] += time.perf_counter() - traced
