"""The files of one run, checked before work begins, and its rasters, written while rows come."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from geoseg.errors import UsageError
from geoseg.layers.raster import ClassRasterWriter, ConfidenceWriter, check_raster
from geoseg.layers.vector import check_layers
from geoseg.pipeline.centerlines import road_class
from geoseg.pipeline.plan import least_areas
from geoseg.pipeline.roles import class_called
from geoseg.vocabulary import DEFAULT_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from geoseg.layers.publish import Publication
    from geoseg.pipeline.request import OutputRequest, VectorRequest
    from geoseg.vocabulary import ClassRows, Grid, Legend, MapClass


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
        UsageError: an unknown ending, class, layer or field, a flag about files that are not written, or centrelines
            without roads.
        OutputError: the format cannot hold the CRS.
    """
    check_wishes(output, vectors, legend)
    if output.layers is not None:
        from geoseg.vector.attributes import chosen_attributes

        check_layers(output.layers, grid, rfc7946=output.rfc7946)
        chosen_attributes(vectors.attributes, grid)


def check_wishes(output: OutputRequest, vectors: VectorRequest, legend: Legend) -> None:
    """Refuse what could be written of no scene at all.

    Raises:
        UsageError: as :func:`check_outputs`.
    """
    chosen_classes(vectors, legend)
    for raster in (output.raster, output.raster_final, output.confidence):
        if raster is not None:
            check_raster(raster)
    if output.creation and not (output.has_rasters or output.raster_final):
        raise UsageError("--co is about rasters; give it with --raster, --raster-final or --confidence")
    if output.layers is None and vectors.attributes is not None:
        raise UsageError("--attributes is about fields of vector layers; give it with --out")
    if output.layers is None and output.rfc7946:
        raise UsageError("--rfc7946 is about GeoJSON; give an --out that ends in .geojson")
    least_areas(vectors.min_area_m2, legend)
    if vectors.regularize:
        class_called(legend, "building", "--regularize")
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
