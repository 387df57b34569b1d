"""``vectorize``: a class raster, ours or anybody's, through polygons to vector layers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.errors import RasterioError

import geoseg
from geoseg.errors import InputError
from geoseg.layers.legend import read_legend
from geoseg.layers.publish import check_target, published
from geoseg.layers.raster import is_confidence
from geoseg.layers.vector import check_layers, write_layers
from geoseg.pipeline.outputs import chosen_classes
from geoseg.pipeline.plan import least_areas
from geoseg.pipeline.request import VectorRequest
from geoseg.scene.georeference import grid_of, short_name
from geoseg.scene.open import open_raster
from geoseg.vector.polygonize import polygonize
from geoseg.vocabulary import DEFAULT_LEGEND, NODATA, Legend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.vocabulary import Grid, MapClass

_ROWS = 1024  # looked at in one go


@dataclass(frozen=True, slots=True)
class VectorizeRequest:
    """One run of ``vectorize``."""

    raster: Path
    """Class raster, one band of uint8."""
    out: Path
    confidence: Path | None = None
    """Confidences in percent on the same grid."""
    vectors: VectorRequest = field(default_factory=VectorRequest)
    src_crs: str | None = None
    rfc7946: bool = False
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


@dataclass(frozen=True, slots=True)
class ClassRaster:
    """A class raster in memory."""

    grid: Grid
    legend: Legend
    classes: NDArray[np.uint8]
    """Shape (height, width), values of the legend, 0 for nodata."""
    origin: dict[str, str]
    """What the raster says about its own making."""


def vectorize(
    request: VectorizeRequest, tell: Callable[[int, int], None] = lambda _done, _total: None
) -> VectorizeReport:
    """Turn a class raster into vector layers.

    Args:
        request: what to do.
        tell: called with steps done and steps in all.

    Raises:
        UsageError: the request contradicts itself, or names a class that is not there.
        InputError: the raster is no class raster, or lies nowhere.
        OutputError: the layers cannot be written.
    """
    started = time.perf_counter()
    inputs = [path for path in (request.raster, request.confidence) if path is not None]
    out = request.out
    check_target(out, overwrite=request.overwrite, inputs=inputs)
    raster = read_class_raster(request.raster, src_crs=request.src_crs)
    check_layers(out, raster.grid, rfc7946=request.rfc7946)
    chosen = _chosen(request.vectors, raster.legend)
    least = least_areas(request.vectors.min_area_m2, raster.legend)
    confidence = _read_confidence(request.confidence, raster.grid, request.src_crs)
    tell(1, 3)
    read = time.perf_counter()
    polygons = polygonize(
        raster.classes,
        confidence,
        grid=raster.grid,
        legend=raster.legend,
        min_area_m2=least,
        simplify_px=request.vectors.simplify_px,
    )
    tell(2, 3)
    traced = time.perf_counter()
    layers = [(entry, polygons.of_class(entry.value)) for entry in chosen]
    report = VectorizeReport(str(out), short_name(raster.grid.crs), raster.classes.size)
    provenance = raster.origin | {
        "GEOSEG_VERSION": geoseg.__version__,
        "GEOSEG_CLASSES": request.raster.name,
        "min_area_m2": {raster.legend.by_value(value).name: area for value, area in least.items()},
        "simplify_px": request.vectors.simplify_px,
    }
    with published(out, overwrite=request.overwrite) as path:
        report.warnings += write_layers(path, layers, raster.grid, provenance, rfc7946=request.rfc7946, options={})
    tell(3, 3)
    if not raster.classes.any():
        report.warnings.append(f"{request.raster}: every pixel is nodata, so the layers are empty")
    report.layers = [
        {
            "name": entry.layer,
            "class": entry.name,
            "features": len(found.values),
            "area_m2": round(float(found.area_m2.sum()), 2),
        }
        for entry, found in layers
    ]
    ended = time.perf_counter()
    seconds = {
        "read": read - started,
        "vector": traced - read,
        "write": ended - traced,
        "total": ended - started,
    }
    report.seconds = {name: round(value, 3) for name, value in seconds.items()}
    return report


def read_class_raster(path: Path, *, src_crs: str | None = None) -> ClassRaster:
    """Return a class raster of any origin with a legend for its values.

    Without a nodata value, 0 is nodata, as in our own rasters; where another is declared, 0 is a class.

    Raises:
        InputError: more than one band, other pixels than uint8, our own confidences, no place on the ground, or
            unreadable.
    """
    with open_raster(path) as raster:
        _check_band(raster, "one band of class values")
        if is_confidence(raster):
            raise InputError(f"{path}: holds confidences; give the class raster, and this one as --confidence")
        grid = grid_of(raster, src_crs=src_crs)
        values, valid = _read(raster)
        nodata = raster.nodata if raster.nodata is not None else NODATA
        valid &= values != nodata
        counts = np.zeros(256, np.int64)
        for row in range(0, grid.height, _ROWS):
            rows = slice(row, row + _ROWS)
            counts += np.bincount(values[rows][valid[rows]], minlength=256)
        found = read_legend(raster, np.flatnonzero(counts).tolist())
        origin = {name: text for name, text in raster.tags().items() if name.startswith("GEOSEG_")}
    origin.pop("GEOSEG_LEGEND", None)
    table = np.zeros(256, np.uint8)
    for value, entry in found.items():
        table[value] = entry.value
    classes = np.where(valid, table[values], np.uint8(NODATA))
    legend = Legend(tuple(sorted(found.values(), key=lambda entry: entry.value)))
    return ClassRaster(grid, legend, classes, origin)


def _read_confidence(path: Path | None, grid: Grid, src_crs: str | None) -> NDArray[np.uint8] | None:
    """Return confidences in percent, 255 where there are none; raises InputError where they do not fit."""
    if path is None:
        return None
    with open_raster(path) as raster:
        _check_band(raster, "one band of percents")
        if grid_of(raster, src_crs=src_crs) != grid:
            raise InputError(f"{path}: lies on another grid than the class raster; both must have the same pixels")
        values, valid = _read(raster)
    values[~valid] = 255
    return values


def _check_band(raster: DatasetReader, expected: str) -> None:
    """Raise InputError unless a raster has one band of uint8."""
    if raster.count != 1:
        raise InputError(f"{raster.name}: has {raster.count} bands, expected {expected}; is it an image?")
    if raster.dtypes[0] != "uint8":
        raise InputError(f"{raster.name}: has {raster.dtypes[0]} pixels, expected {expected} in uint8")


def _read(raster: DatasetReader) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the only band and where it is valid; raises InputError where it cannot be read."""
    try:
        return raster.read(1), raster.read_masks(1) != 0
    except RasterioError as error:
        raise InputError(f"{raster.name}: cannot be read to its end; copy or download it again") from error


def _chosen(wanted: VectorRequest, legend: Legend) -> tuple[MapClass, ...]:
    """Return the classes to write: of our own maps the default layers, of others' everything."""
    known = {entry.name for entry in DEFAULT_LEGEND}
    if wanted.classes is None and not {entry.name for entry in legend} <= known:
        return legend.select("all")
    return chosen_classes(wanted, legend)
