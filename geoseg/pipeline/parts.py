"""Parts of a large scene, classified apart from one another, and joined into what a whole run would have made.

A part is some rows of the network's windows. Its class rows are kept in a zip file of arrays, one for each strip, and
are the same bits as those rows of the whole, since every window reads its halo from the pixels around the part.
"""

from __future__ import annotations

import io
import math
import time
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import shapely
from affine import Affine
from rasterio.features import shapes
from shapely.geometry import shape

from geoseg.errors import InputError
from geoseg.layers.publish import Publication, published
from geoseg.model.file import load_card
from geoseg.pipeline.outputs import RasterSinks, check_outputs
from geoseg.pipeline.plan import make_plan, opened
from geoseg.pipeline.segment import Classifying, check_request, finished, started_report
from geoseg.pipeline.warm import Warm
from geoseg.resample import weights
from geoseg.scene.mosaic import Mosaic
from geoseg.scene.strips import reach
from geoseg.vocabulary import NODATA, ClassRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from geoseg.model.card import ModelCard
    from geoseg.pipeline.plan import Plan
    from geoseg.pipeline.request import SegmentReport, SegmentRequest
    from geoseg.pipeline.segment import Tell
    from geoseg.scene.reader import Scene
    from geoseg.vocabulary import Grid

_PIXELS = 64_000_000  # of the network's grid in a part, about: half a minute on a processor core

Place = Literal["scene", "trace"]
"""The grid that rows lie on: the scene's own, for rasters, or the one that polygons are traced on, where it differs."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a scene."""

    rows: tuple[int, int]
    """First row, and row after the last, on the network's grid."""
    sees: tuple[int, int]
    """First row, and row after the last, of the scene's own grid that the part is made from."""
    apart: bool
    """Whether rows of the scene's own grid are kept, too, for rasters, beside those that polygons are traced from."""
    pixels: int
    """Of the scene, about."""


def parts_of(request: SegmentRequest, card: ModelCard) -> list[Part]:
    """Return how a scene is cut; that depends on nothing but the scene, the model and the request.

    Raises:
        InputError, UsageError, ModelError: as :func:`geoseg.pipeline.segment.segment`.
    """
    with opened(request.scene, request.reading, card) as scene:
        plan = make_plan(request, scene, card)
        windows, apart = plan.windows, plan.trace is not plan.scene and request.output.has_rasters
        core, width = windows.core[0], scene.grid.width
        ratio = scene.native.height * scene.native.width / (scene.grid.height * scene.grid.width)
        step = max(1, round(_PIXELS / (core * width)))
        parts = []
        for i in range(0, len(windows.rows), step):
            first = windows.rows[i]
            last = windows.rows[min(i + step, len(windows.rows)) - 1] + core
            stop = min(last, scene.grid.height)
            sees = _seen(make_plan(request, scene, card, (first, stop)).windows.row_spans, scene)
            parts.append(Part((first, stop), sees, apart, round((stop - first) * width * ratio)))
        return parts


def _seen(spans: Sequence[tuple[int, int]], scene: Scene) -> tuple[int, int]:
    """Return the native rows that strips of the network's grid are made from."""
    needed = [reach(*span, scene.grid.height) for span in spans]
    first, stop = min(low for low, _ in needed), max(high for _, high in needed)
    if scene.grid.shape == scene.native.shape:
        return first, stop
    return weights(scene.native.height, scene.grid.height).reach(first, stop)


def segment_part(
    request: SegmentRequest,
    part: Part,
    out: Path,
    tell: Tell = lambda _done, _total, _pixels: None,
    warm: Warm | None = None,
) -> SegmentReport:
    """Classify a part of a scene and keep its rows.

    Args:
        request: what is wanted of the whole.
        part: one of :func:`parts_of`.
        out: file of the rows; replaced where it exists.
        tell: as for :func:`geoseg.pipeline.segment.segment`.
        warm: models and networks of earlier runs.

    Raises:
        InputError, UsageError, ModelError, OutputError: as :func:`geoseg.pipeline.segment.segment`.
    """
    started = time.perf_counter()
    warm = warm or Warm()
    model = warm.model(request.model)
    with ExitStack() as stack:
        scene = stack.enter_context(opened(request.scene, request.reading, model.card))
        plan = make_plan(request, scene, model.card, part.rows)
        run = stack.enter_context(Classifying(request, scene, plan, model, warm, tell))
        with (
            published(out, overwrite=True) as path,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        ):
            keep = (
                (lambda rows: _put(file, "scene", plan.scene.window.row, rows)) if part.apart else (lambda _rows: None)
            )
            for rows in run.to_trace(keep):
                _put(file, "trace", plan.trace.window.row, rows)
        run.conclude()
        run.report.unreadable = scene.unreadable
    return finished(run.report, time.perf_counter() - started)


def _put(file: zipfile.ZipFile, place: Place, offset: int, rows: ClassRows) -> None:
    """Keep a strip under the row of the whole grid that it begins at."""
    for kind, pixels in (("classes", rows.classes), ("confidence", rows.confidence)):
        if pixels is not None:
            buffer = io.BytesIO()
            np.save(buffer, pixels)
            file.writestr(f"{place}/{offset + rows.row:012d}/{kind}.npy", buffer.getvalue())


def rows_of(files: Iterable[Path], place: Place, first: int) -> Iterator[ClassRows]:
    """Yield the strips of parts in order, counted from row ``first``; rows that parts have in common come once.

    Raises:
        InputError: a file is missing or damaged.
    """
    row = first
    for path in files:
        try:
            with zipfile.ZipFile(path) as file:
                names = sorted(name for name in file.namelist() if name.startswith(f"{place}/") and "classes" in name)
                for name in names:
                    start = int(name.split("/")[1])
                    classes = _array(file, name)
                    confidence = _array(file, name.replace("classes", "confidence"))
                    if (skipped := row - start) < len(classes):
                        yield ClassRows(row - first, classes[skipped:], confidence[skipped:])
                        row = start + len(classes)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: a finished part is missing or damaged ({error}); run again") from error


def _array(file: zipfile.ZipFile, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = np.load(io.BytesIO(file.read(name)), allow_pickle=False)
    return pixels


@dataclass(frozen=True, slots=True)
class Finished:
    """A scene whose parts are all there."""

    request: SegmentRequest
    """What is wanted of it; scenes that are joined have the same layers to go to, and rasters of their own."""
    files: tuple[Path, ...]
    """Its parts in order."""


def join_parts(scenes: Sequence[Finished], made: SegmentReport) -> SegmentReport:
    """Make of finished parts what ``segment`` would have made of the whole scenes.

    Where scenes lie on the same ground, the one named first counts, as far as it knows something; polygons of the
    others are cut along its border.

    Args:
        scenes: of one CRS, one or more.
        made: the report of one of the parts.

    Raises:
        InputError: a part is missing or damaged.
        UsageError, OutputError: as for :func:`geoseg.pipeline.segment.segment`.
    """
    from geoseg.pipeline.traced import ToTrace, write_traced

    started = time.perf_counter()
    request = scenes[0].request
    for one in scenes:
        check_request(one.request)
    card = load_card(request.model)
    with ExitStack() as stack:
        publication = stack.enter_context(Publication(overwrite=request.output.overwrite))
        report: SegmentReport | None = None
        to_trace: list[ToTrace] = []
        taken: list[_Taken] = []
        for one in scenes:
            scene = stack.enter_context(opened(one.request.scene, one.request.reading, card))
            check_outputs(one.request.output, one.request.vectors, card.legend, scene.native)
            plan = make_plan(one.request, scene, card)
            if report is None:
                report = started_report(one.request, plan, card, scene.stretch.text)
                report.device, report.precision, report.scene = made.device, made.precision, made.scene
            else:
                report.pixels += plan.scene.window.height * plan.scene.window.width
            _write_rasters(one, plan, publication, report, card)
            border, box = plan.border, _ground(one.request.scene, scene.native)
            before = [other for other in taken if shapely.intersects(other.box, box)]
            if before:
                known = shapely.union_all([other.known() for other in before])
                border = shapely.difference(box if border is None else border, known)
            taken.append(_Taken(one, plan, box, request.vectors.simplify_px))
            rows = rows_of(one.files, "trace", plan.trace.window.row)
            to_trace.append(ToTrace(rows, plan, border, one.request.output.raster_final))
        assert report is not None  # noqa: S101 - there is at least one scene
        if request.output.traced:
            write_traced(to_trace, request, card.legend, publication, report)
    return finished(report, time.perf_counter() - started)


def _write_rasters(one: Finished, plan: Plan, publication: Publication, report: SegmentReport, card: ModelCard) -> None:
    """Write the rasters of a scene from its parts."""
    if not one.request.output.has_rasters:
        return
    place: Place = "scene" if plan.trace is not plan.scene else "trace"
    grid = plan.scene.grid
    with RasterSinks(publication, one.request.output, grid, card.legend, report.provenance()) as sinks:
        for rows in rows_of(one.files, place, plan.scene.window.row):
            sinks.write(rows)


@dataclass(slots=True)
class _Taken:
    """Ground that a scene has taken before others."""

    scene: Finished
    plan: Plan
    box: Any
    """The ground of its tiles."""
    margin_px: float
    """How far outlines may stray from the pixels that they follow."""
    found: Any | None = None

    def known(self) -> Any:
        """Return the ground of which it knows something, a shapely geometry: nodata is left to others."""
        if self.found is None:
            grid = self.plan.trace.grid
            parts, whole = [], True
            for rows in rows_of(self.scene.files, "trace", self.plan.trace.window.row):
                known = rows.classes != NODATA
                whole = whole and bool(known.all())
                at = grid.transform @ Affine.translation(0, rows.row)
                parts += [shape(one) for one, value in shapes(known.astype(np.uint8), known, transform=at) if value]
            margin = self.margin_px * math.sqrt(grid.pixel_area)
            self.found = self.box
            if not whole:
                around = shapely.buffer(shapely.union_all(parts), margin, join_style="mitre")
                self.found = shapely.intersection(around, self.box)
        return self.found


def _ground(scene: Path | str | Mosaic, native: Grid) -> Any:
    """Return the ground that a scene covers, a shapely geometry in its CRS: of a mosaic, that of its tiles."""
    grids = [tile.grid for tile in scene.tiles] if isinstance(scene, Mosaic) else [native]
    corners = [[grid.transform @ corner for corner in _around(grid)] for grid in grids]
    return shapely.union_all([shapely.Polygon(ring) for ring in corners])


def _around(grid: Grid) -> tuple[tuple[int, int], ...]:
    return (0, 0), (grid.width, 0), (grid.width, grid.height), (0, grid.height)
