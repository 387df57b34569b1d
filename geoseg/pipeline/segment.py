"""``segment``: a scene through windows, network, classes and polygons to files."""

from __future__ import annotations

import math
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from geoseg.layers.publish import Publication, check_target
from geoseg.model.file import load_model, model_path
from geoseg.pipeline.ahead import Ahead
from geoseg.pipeline.canvas import Canvas
from geoseg.pipeline.classify import Classifier
from geoseg.pipeline.honesty import Impression
from geoseg.pipeline.outputs import RasterSinks, check_outputs, write_traced
from geoseg.pipeline.plan import make_plan, read_request
from geoseg.pipeline.request import SegmentReport
from geoseg.scene.georeference import short_name
from geoseg.scene.reader import open_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from geoseg.inference.network import Network
    from geoseg.model.file import Model
    from geoseg.pipeline.plan import Plan
    from geoseg.pipeline.request import SegmentRequest


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
        plan = make_plan(request, scene, model.card)
        classifier = Classifier.of(request, plan, model)
        report = _report(request, plan, model, classifier.network, scene.stretch.text)
        impression = Impression(len(model.card.bands))
        canvas = Canvas(plan.trace.grid) if output.traced else None

        sinks = stack.enter_context(
            RasterSinks(publication, output, plan.scene.grid, model.card.legend, report.provenance())
        )
        read = Ahead(map(impression.of_pixels, scene.iter_rows(plan.windows.row_spans, plan.windows.col_span)))
        with read as strips:
            total = plan.windows.count

            def count(windows: int) -> None:
                report.windows += windows
                tell(report.windows, total, report.pixels * report.windows // total)

            place, classes = classifier.classes(strips, canvas, count)
            began = time.perf_counter()
            for rows in map(impression.of_classes, classes):
                decided = time.perf_counter()
                report.seconds["forward"] += decided - began
                if place is plan.scene:
                    sinks.write(rows)
                if canvas is not None and place is plan.trace:
                    canvas.write(rows)
                del rows  # the next strip is made in the room of this one
                began = time.perf_counter()
                report.seconds["write"] += began - decided
        report.seconds["read"] = read.seconds
        report.warnings += [
            *scene.notes,
            *impression.warnings(model.card, *_ground_pixels_m(plan, scene.ground_pixel_m)),
        ]
        if canvas is not None:
            write_traced(canvas, request, plan, model.card.legend, publication, report)
    return _finished(report, time.perf_counter() - started)


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
