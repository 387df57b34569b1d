"""A model's answer to a labelled image, made as ``segment`` makes it: the same reader, windows, seams and decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import RasterioError

from geoseg.errors import InputError
from geoseg.inference.network import RunsOn
from geoseg.layers.faults import writing
from geoseg.pipeline.classify import Classifier
from geoseg.pipeline.plan import make_plan, opened
from geoseg.pipeline.request import OutputRequest, SceneRequest, SegmentRequest
from geoseg.pipeline.warm import Warm
from geoseg.vocabulary import ClassRows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoseg.labels.labelled import LabelledImage
    from geoseg.model.file import Model
    from geoseg.vocabulary import Grid

_WANTED = OutputRequest(raster=Path("classes.tif"))  # says what is wanted; nothing is written
_SOMEWHERE = "EPSG:32631", 500_000, 5_000_000
"""Images of a data set need not say where they lie; their pixels are taken for those of the model."""


@dataclass(frozen=True, slots=True)
class ModelRun:
    """A model and how it is run."""

    model: str
    """Its file, or the name of a bundled one."""
    runs_on: RunsOn = field(default_factory=RunsOn)
    eightfold: bool = False
    """Whether the answers to mirrored windows are averaged."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Every pixel of an image, decided."""

    grid: Grid
    rows: ClassRows
    """All rows at once."""
    device: str
    precision: str
    blend: str


def answer(image: LabelledImage, run: ModelRun, model: Model, folder: Path) -> Answer:
    """Return what ``segment --raster --confidence`` would write for an image at its native resolution.

    Args:
        image: its pixels are the model's bands in the model's order.
        run: how.
        model: the model that ``run`` names.
        folder: where the image is written for the reader, and removed again.

    Raises:
        InputError: the image has other bands than the model.
        UsageError: the device is unknown or not there.
        ModelError: the precision is not possible with this model.
        OutputError: the folder has no room for it.
    """
    bands = len(image.pixels)
    if bands != len(model.card.bands):
        raise InputError(
            f"{image.name}: has {bands} bands, but model {model.card.name} expects {', '.join(model.card.bands)}"
        )
    scene = folder / "image.tif"
    reading = SceneRequest({"bands": tuple(range(1, bands + 1))}, resolution="native")
    try:
        _write(scene, image, model.card.resolution_m)
        return _answer(scene, reading, run, model)
    finally:
        scene.unlink(missing_ok=True)


def answer_scene(scene: Path, options: Mapping[str, Any], run: ModelRun, model: Model) -> Answer:
    """Return what ``segment --raster --confidence`` would write for a scene, on the scene's own pixels.

    Args:
        scene: a georeferenced image.
        options: fields of a ReadRequest that the user set.
        run: how.
        model: the model that ``run`` names.

    Raises:
        InputError: the scene cannot be read, or is too coarse for the model.
        UsageError, ModelError: as for :func:`answer`.
    """
    return _answer(scene, SceneRequest(options), run, model)


def _answer(scene: Path, reading: SceneRequest, run: ModelRun, model: Model) -> Answer:
    request = SegmentRequest(scene, _WANTED, run.model, reading, runs_on=run.runs_on, eightfold=run.eightfold)
    with opened(scene, reading, model.card) as image:
        plan = make_plan(request, image, model.card)
        classifier = Classifier.of(request, plan, model, Warm())
        strips = image.iter_rows(plan.windows.row_spans, plan.windows.col_span)
        _, classes = classifier.classes(strips, lambda _rows: None, lambda _windows: None)
        rows = _joined(list(classes))
    network = classifier.network
    return Answer(plan.scene.grid, rows, network.device, network.precision, plan.windows.blend)


def _joined(strips: list[ClassRows]) -> ClassRows:
    confidence = [strip.confidence for strip in strips if strip.confidence is not None]
    return ClassRows(0, np.concatenate([strip.classes for strip in strips]), np.concatenate(confidence))


def _write(path: Path, image: LabelledImage, pixel_m: float) -> None:
    """Write an image as a GeoTIFF with a mask of what is missing, at a made-up place."""
    crs, x, y = _SOMEWHERE
    bands, height, width = image.pixels.shape
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": image.pixels.dtype}
    place = {"crs": crs, "transform": Affine(pixel_m, 0, x, 0, -pixel_m, y)}
    with (
        writing(path, RasterioError),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile, **place) as file,
    ):
        file.write(image.pixels)
        if image.missing is not None:
            file.write_mask(~image.missing)
