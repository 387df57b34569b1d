"""``segment``: a scene through windows, network, classes and polygons to files."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from geoseg.layers.publish import Publication, check_target
from geoseg.model.file import model_path
from geoseg.model.learned import read_otherwise
from geoseg.pipeline.accounts import timed
from geoseg.pipeline.ahead import Ahead
from geoseg.pipeline.centerlines import check_centerlines
from geoseg.pipeline.classify import Classifier
from geoseg.pipeline.honesty import Impression
from geoseg.pipeline.outputs import RasterSinks, check_outputs, chosen_classes
from geoseg.pipeline.plan import make_plan, opened
from geoseg.pipeline.qgis_project import check_project, publish_project, segment_project
from geoseg.pipeline.request import SegmentReport
from geoseg.pipeline.warm import Warm
from geoseg.scene.georeference import short_name
from geoseg.scene.mosaic import Mosaic
from geoseg.scene.open import shown
from geoseg.scene.read_request import flags_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from geoseg.model.card import ModelCard
    from geoseg.model.file import Model
    from geoseg.pipeline.plan import Plan
    from geoseg.pipeline.request import SegmentRequest
    from geoseg.scene.reader import Scene
    from geoseg.vocabulary import ClassRows, SceneRows

    Tell = Callable[[int, int, int], None]


def segment(
    request: SegmentRequest, tell: Tell = lambda _done, _total, _pixels: None, warm: Warm | None = None
) -> SegmentReport:
    """Segment a scene and publish what was asked for, all of it or nothing.

    Args:
        request: what to do.
        tell: called with windows done, windows in all, and scene pixels done.
        warm: models and networks of earlier runs.

    Raises:
        UsageError: the request contradicts itself.
        InputError: the scene cannot be used.
        ModelError: the model cannot be used.
        OutputError: a result cannot be written.
    """
    started = time.perf_counter()
    output = request.output
    check_request(request)
    warm = warm or Warm()
    model = warm.model(request.model)
    with ExitStack() as stack:
        publication = stack.enter_context(Publication(overwrite=output.overwrite))
        scene = stack.enter_context(opened(request.scene, request.reading, model.card))
        check_outputs(output, request.vectors, model.card.legend, scene.native)
        if output.traced:  # a run without polygons pays for neither the tracer nor its compiler
            from geoseg.pipeline.traced import ToTrace, write_traced
            from geoseg.vector.warm import warm_up

            warm_up(square=request.vectors.regularize)
        plan = make_plan(request, scene, model.card)
        run = stack.enter_context(Classifying(request, scene, plan, model, warm, tell))
        report = run.report
        sinks = stack.enter_context(
            RasterSinks(publication, output, plan.scene.grid, model.card.legend, report.provenance())
        )
        rows = run.to_trace(sinks.write)
        if output.traced:
            to_trace = ToTrace(rows, plan, plan.border, output.raster_final)
            write_traced([to_trace], request, model.card.legend, publication, report)
        else:
            deque(rows, maxlen=0)
        if output.project is not None:
            chosen = chosen_classes(request.vectors, model.card.legend)
            shown_map = segment_project(request, scene, model.card, chosen, plan.scene.grid)
            publish_project(publication, output.project, shown_map)
        run.conclude()
        if output.traced and run.impression.empty:
            report.warnings.append(f"{report.scene}: every pixel is nodata, so the layers are empty")
    return finished(report, time.perf_counter() - started)


def check_request(request: SegmentRequest) -> None:
    """Refuse before any work what could not be written in the end; raises UsageError and OutputError."""
    output, scene = request.output, request.scene
    if request.vectors.centerlines:
        check_centerlines(output.layers)
    if output.project is not None:
        check_project(output.project, output.results)
    inputs: list[str | Path] = [model_path(request.model), *([request.reading.aoi] if request.reading.aoi else [])]
    inputs += [tile.path for tile in scene.tiles] if isinstance(scene, Mosaic) else [scene]
    for path in output.paths:
        check_target(path, overwrite=output.overwrite, inputs=inputs)


class Classifying:
    """The way of a scene from its strips to class rows, and what is learned of it on the way.

    A context manager: leaving it stops the reader.
    """

    def __init__(self, request: SegmentRequest, scene: Scene, plan: Plan, model: Model, warm: Warm, tell: Tell) -> None:
        classifier = Classifier.of(request, plan, model, warm)
        self.report = started_report(request, plan, model.card, scene.stretch.text)
        self.report.device, self.report.precision = classifier.network.device, classifier.network.precision
        self.impression = Impression(len(model.card.bands))
        self._scene, self._plan, self._model, self._classifier = scene, plan, model, classifier
        self._said = flags_of(request.reading.options)
        self._count = _counter(self.report, plan, tell)
        self._read = Ahead(
            map(self.impression.of_pixels, scene.iter_rows(plan.windows.row_spans, plan.windows.col_span))
        )
        self._strips: Iterator[SceneRows] = iter(())

    def __enter__(self) -> Self:
        self._strips = self._read.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._read.__exit__(*error)

    def to_trace(self, write: Callable[[ClassRows], None]) -> Iterator[ClassRows]:
        """Hand class rows of the scene's own grid to a writer, and yield those that polygons are traced from."""
        aside: deque[ClassRows] = deque()
        plan, seconds = self._plan, self.report.seconds
        place, classes = self._classifier.classes(self._strips, aside.append, self._count)
        for rows in timed(map(self.impression.of_classes, classes), seconds, "forward"):
            began = time.perf_counter()
            if place is plan.scene:
                write(rows)
            seconds["write"] += time.perf_counter() - began
            if place is plan.trace:
                yield rows
            del rows  # the next strip is made in the room of this one
            while aside:
                yield aside.popleft()
        yield from aside

    def conclude(self) -> None:
        """Note, when all rows have passed, what the user should know."""
        self.report.seconds["read"] = self._read.seconds
        scene, card = self._scene, self._model.card
        self.report.warnings += [
            *scene.notes,
            *filter(None, [read_otherwise(card, self._said)]),
            *self.impression.warnings(card, *_ground_pixels_m(self._plan, scene.ground_pixel_m)),
        ]


def _counter(report: SegmentReport, plan: Plan, tell: Tell) -> Callable[[int], None]:
    """Return what is called with the number of windows done since its last call."""

    def count(windows: int) -> None:
        report.windows += windows
        tell(report.windows, plan.windows.count, report.pixels * report.windows // plan.windows.count)

    return count


def _ground_pixels_m(plan: Plan, native_m: tuple[float, float]) -> tuple[float, float]:
    """Return the ground pixel of the scene and of what the network saw, in metres."""
    native, seen = plan.scene.whole, plan.network.whole
    area = native_m[0] * native_m[1]
    shrink = (native.height * native.width) / (seen.height * seen.width)
    return math.sqrt(area), math.sqrt(area * shrink)


def started_report(request: SegmentRequest, plan: Plan, card: ModelCard, stretch: str) -> SegmentReport:
    """Return the report of a run that begins, before it is known what it runs on."""
    output, windows = request.output, plan.windows
    return SegmentReport(
        scene=str(scene) if isinstance(scene := request.scene, Mosaic) else shown(scene),
        crs=short_name(plan.scene.whole.crs),
        pixels=plan.scene.window.height * plan.scene.window.width,
        out=str(output.layers) if output.layers else None,
        raster=str(output.raster) if output.raster else None,
        model={"name": card.name, "sha256": card.tensors_sha256},
        blend=windows.blend,
        window=list(windows.window),
        overlap=2 * windows.halo,
        stretch=stretch,
        options=request.said(),
        seconds=dict.fromkeys(("read", "forward", "vector", "write", "total"), 0.0),
    )


def finished(report: SegmentReport, seconds: float) -> SegmentReport:
    """Return a report with the figures of the whole run, which took some seconds."""
    report.seconds["total"] = seconds
    report.seconds = {name: round(value, 3) for name, value in report.seconds.items()}
    report.megapixels_per_second = round(report.pixels / 1e6 / seconds, 3)
    try:
        import resource
    except ImportError:  # Windows
        return report
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report.peak_rss_mb = round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
    return report
