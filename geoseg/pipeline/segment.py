"""``segment``: a scene through windows, network, classes and polygons to files."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING

from geoseg.layers.publish import Publication, check_target
from geoseg.model.file import load_model, model_path
from geoseg.pipeline.accounts import timed
from geoseg.pipeline.ahead import Ahead
from geoseg.pipeline.centerlines import check_centerlines
from geoseg.pipeline.classify import Classifier
from geoseg.pipeline.honesty import Impression
from geoseg.pipeline.outputs import RasterSinks, check_outputs
from geoseg.pipeline.plan import make_plan, read_request
from geoseg.pipeline.request import SegmentReport
from geoseg.scene.georeference import short_name
from geoseg.scene.reader import open_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from geoseg.inference.network import Network
    from geoseg.model.file import Model
    from geoseg.pipeline.plan import Place, Plan
    from geoseg.pipeline.request import SegmentRequest
    from geoseg.vocabulary import ClassRows


def segment(
    request: SegmentRequest, tell: Callable[[int, int, int], None] = lambda _done, _total, _pixels: None
) -> SegmentReport:
    """Segment a scene and publish what was asked for, all of it or nothing.

    Args:
        request: what to do.
        tell: called with windows done, windows in all, and scene pixels done.

    Raises:
        UsageError: the request contradicts itself.
        InputError: the scene cannot be used.
        ModelError: the model cannot be used.
        OutputError: a result cannot be written.
    """
    started = time.perf_counter()
    output = request.output
    if request.vectors.centerlines:
        check_centerlines(output.layers)
    inputs = [
        request.scene,
        model_path(request.model),
        *([request.reading.aoi] if request.reading.aoi else []),
    ]
    for path in output.paths:
        check_target(path, overwrite=output.overwrite, inputs=inputs)
    model = load_model(request.model)
    with ExitStack() as stack:
        publication = stack.enter_context(Publication(overwrite=output.overwrite))
        scene = stack.enter_context(open_scene(request.scene, read_request(request.scene, request.reading, model.card)))
        check_outputs(output, request.vectors, model.card.legend, scene.native)
        if output.traced:  # a run without polygons pays for neither the tracer nor its compiler
            from geoseg.pipeline.traced import write_traced
            from geoseg.vector.warm import warm_up

            warm_up(square=request.vectors.regularize)
        plan = make_plan(request, scene, model.card)
        classifier = Classifier.of(request, plan, model)
        report = _report(request, plan, model, classifier.network, scene.stretch.text)
        impression = Impression(len(model.card.bands))
        sinks = stack.enter_context(
            RasterSinks(publication, output, plan.scene.grid, model.card.legend, report.provenance())
        )
        read = Ahead(map(impression.of_pixels, scene.iter_rows(plan.windows.row_spans, plan.windows.col_span)))
        with read as strips:
            aside: deque[ClassRows] = deque()
            place, classes = classifier.classes(strips, aside.append, _counter(report, plan, tell))
            classes = timed(map(impression.of_classes, classes), report.seconds, "forward")
            rows = _to_trace(classes, aside, place, plan, sinks, report)
            if output.traced:
                write_traced(rows, request, plan, model.card.legend, publication, report)
            else:
                deque(rows, maxlen=0)
        report.seconds["read"] = read.seconds
        report.warnings += [
            *scene.notes,
            *impression.warnings(model.card, *_ground_pixels_m(plan, scene.ground_pixel_m)),
        ]
        if output.traced and impression.empty:
            report.warnings.append(f"{report.scene}: every pixel is nodata, so the layers are empty")
    return _finished(report, time.perf_counter() - started)


def _counter(report: SegmentReport, plan: Plan, tell: Callable[[int, int, int], None]) -> Callable[[int], None]:
    """Return what is called with the number of windows done since its last call."""

    def count(windows: int) -> None:
        report.windows += windows
        tell(report.windows, plan.windows.count, report.pixels * report.windows // plan.windows.count)

    return count


def _to_trace(
    classes: Iterable[ClassRows],
    aside: deque[ClassRows],
    place: Place,
    plan: Plan,
    sinks: RasterSinks,
    report: SegmentReport,
) -> Iterator[ClassRows]:
    """Write class rows to the rasters that want them, and yield those that polygons are traced from."""
    for rows in classes:
        began = time.perf_counter()
        if place is plan.scene:
            sinks.write(rows)
        report.seconds["write"] += time.perf_counter() - began
        if place is plan.trace:
            yield rows
        del rows  # the next strip is made in the room of this one
        while aside:
            yield aside.popleft()
    yield from aside


def _ground_pixels_m(plan: Plan, native_m: tuple[float, float]) -> tuple[float, float]:
    """Return the ground pixel of the scene and of what the network saw, in metres."""
    native, seen = plan.scene.whole, plan.network.whole
    area = native_m[0] * native_m[1]
    shrink = (native.height * native.width) / (seen.height * seen.width)
    return math.sqrt(area), math.sqrt(area * shrink)


def _report(request: SegmentRequest, plan: Plan, model: Model, network: Network, stretch: str) -> SegmentReport:
    output, windows = request.output, plan.windows
    return SegmentReport(
        scene=str(request.scene),
        crs=short_name(plan.scene.whole.crs),
        pixels=plan.scene.window.height * plan.scene.window.width,
        out=str(output.layers) if output.layers else None,
        raster=str(output.raster) if output.raster else None,
        model={"name": model.card.name, "sha256": model.card.tensors_sha256},
        device=network.device,
        precision=network.precision,
        blend=windows.blend,
        window=list(windows.window),
        overlap=2 * windows.halo,
        stretch=stretch,
        options=request.said(),
        seconds=dict.fromkeys(("read", "forward", "vector", "write", "total"), 0.0),
    )


def _finished(report: SegmentReport, seconds: float) -> SegmentReport:
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
