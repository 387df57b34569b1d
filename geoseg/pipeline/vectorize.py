"""``vectorize``: a class raster, ours or anybody's, through polygons to vector layers."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import geoseg
from geoseg.class_names import is_unlabelled
from geoseg.layers.features import WantedLayers
from geoseg.layers.publish import Publication, check_target
from geoseg.layers.qgis_project.content import Project
from geoseg.layers.vector import check_layers, write_layers
from geoseg.pipeline.accounts import tallied, timed
from geoseg.pipeline.centerlines import CenterlineLayer, check_centerlines, write_centerlines
from geoseg.pipeline.class_raster import class_raster, confidence_raster
from geoseg.pipeline.outputs import chosen_classes
from geoseg.pipeline.plan import least_areas
from geoseg.pipeline.qgis_project import (
    check_project,
    class_raster_layer,
    extent_of,
    publish_project,
    vector_layers,
)
from geoseg.pipeline.request import VectorRequest
from geoseg.pipeline.traced import traced, tracing
from geoseg.scene.georeference import short_name
from geoseg.vector.attributes import chosen_attributes
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Legend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from geoseg.vocabulary import Grid, MapClass


@dataclass(frozen=True, slots=True)
class VectorizeRequest:
    """One run of ``vectorize``."""

    raster: Path
    """Class raster, one band of uint8."""
    out: Path
    confidence: Path | None = None
    """Confidences in percent on the same grid."""
    legend: Path | None = None
    """What the raster's values mean, where it does not say so itself: see ``geoseg.layers.legend_file``."""
    vectors: VectorRequest = field(default_factory=VectorRequest)
    src_crs: str | None = None
    rfc7946: bool = False
    threads: int | None = None
    """Belts of rows traced at once; None for the number of processors."""
    project: Path | None = None
    """A QGIS project that shows the layers and the raster."""
    overwrite: bool = False


@dataclass(slots=True)
class VectorizeReport:
    """What a run did; ``to_json`` is the object of ``--json``, schema 1."""

    out: str
    crs: str = ""
    pixels: int = 0
    layers: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {"schema": 1} | {name: getattr(self, name) for name in self.__slots__}


def vectorize(
    request: VectorizeRequest, tell: Callable[[int, int], None] = lambda _done, _total: None
) -> VectorizeReport:
    """Turn a class raster into vector layers, strip by strip.

    Args:
        request: what to do.
        tell: called with rows done and rows in all; the raster is read twice, once to see its values.

    Raises:
        UsageError: the request contradicts itself, or names a class that is not there.
        InputError: the raster is no class raster, or lies nowhere.
        OutputError: the layers cannot be written.
    """
    started = time.perf_counter()
    inputs = [path for path in (request.raster, request.confidence, request.legend) if path is not None]
    out = request.out
    if request.vectors.centerlines:
        check_centerlines(out)
    check_target(out, overwrite=request.overwrite, inputs=inputs)
    if request.project is not None:
        check_project(request.project, [out])
        check_target(request.project, overwrite=request.overwrite, inputs=inputs)
    seconds = dict.fromkeys(("read", "vector", "write", "total"), 0.0)
    with class_raster(request.raster, src_crs=request.src_crs, legend=request.legend) as raster:
        grid = raster.grid
        check_layers(out, grid, rfc7946=request.rfc7946)
        chosen = _chosen(request.vectors, raster.legend)
        wanted = WantedLayers(chosen, chosen_attributes(request.vectors.attributes, grid), request.rfc7946)
        least = least_areas(request.vectors.min_area_m2, raster.legend)
        how = tracing(request.vectors, raster.legend, request.threads)
        lines = CenterlineLayer(grid, raster.legend) if request.vectors.centerlines else None
        total = 2 * grid.height
        tell(grid.height, total)
        report = VectorizeReport(str(out), short_name(grid.crs), grid.height * grid.width)
        provenance = raster.origin | {
            "GEOSEG_VERSION": geoseg.__version__,
            "GEOSEG_CLASSES": request.raster.name,
            **request.vectors.said(least, raster.legend),
        }

        with ExitStack() as stack:
            confidence = None
            if request.confidence is not None:
                confidence = stack.enter_context(confidence_raster(request.confidence, grid, request.src_crs))
            seconds["read"] = time.perf_counter() - started
            rows = timed(raster.rows(confidence), seconds, "read")
            rows = told(rows, lambda row: tell(grid.height + row, total))
            polygons = traced(rows, grid, raster.legend, how, lines)
            began = time.perf_counter()
            with Publication(overwrite=request.overwrite) as publication:
                path = publication.add(out)
                polygons = timed(polygons, seconds, "vector")
                written = write_layers(path, wanted, polygons, grid, provenance)
                extra = [write_centerlines(path, [lines], grid.crs)] if lines else []
                if request.project is not None:
                    shown_map = _project(request, raster.legend, chosen, grid)
                    publish_project(publication, request.project, shown_map)
            seconds["write"] = time.perf_counter() - began - seconds["vector"]
    report.warnings += written.notes
    if raster.empty:
        report.warnings.append(f"{request.raster}: every pixel is nodata, so the layers are empty")
    report.layers = tallied(chosen, written) + extra
    seconds["total"] = time.perf_counter() - started
    report.seconds = {name: round(value, 3) for name, value in seconds.items()}
    return report


def told(rows: Iterable[ClassRows], tell: Callable[[int], None]) -> Iterator[ClassRows]:
    """Pass rows on, telling the number of the next one."""
    for strip in rows:
        yield strip
        tell(strip.row + len(strip.classes))


def _chosen(wanted: VectorRequest, legend: Legend) -> tuple[MapClass, ...]:
    """Return the classes to write: of our own maps the default layers, of others' everything that has a meaning."""
    known = {entry.name for entry in DEFAULT_LEGEND}
    if wanted.classes is None and not {entry.name for entry in legend} <= known:
        everything = legend.select("all")
        return tuple(entry for entry in everything if not is_unlabelled(entry.name)) or everything
    return chosen_classes(wanted, legend)


def _project(request: VectorizeRequest, legend: Legend, chosen: Sequence[MapClass], grid: Grid) -> Project:
    """Return the map of one run: its layers over the class raster, which is switched off.

    Args:
        request: the run.
        legend: of the raster.
        chosen: the classes that are written as layers.
        grid: of the raster.
    """
    lines = request.vectors.centerlines
    layers = vector_layers(request.out, chosen, grid.crs, lines=lines, rfc7946=request.rfc7946)
    raster = class_raster_layer(request.raster, legend, grid.crs, shown=False)
    return Project(request.raster.stem, grid.crs, extent_of(grid), tuple(layers), (raster,))
