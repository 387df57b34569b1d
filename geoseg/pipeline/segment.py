"""``segment``: a scene through windows, network, classes and polygons to files."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from geoseg.inference.blend import decided_rows, scored_rows
from geoseg.inference.decide import decide, onto_grid
from geoseg.inference.flips import FlippedNetwork
from geoseg.inference.network import WindowShape, build_network
from geoseg.layers.publish import Publication, check_target
from geoseg.model.file import load_model, model_path
from geoseg.pipeline.ahead import Ahead
from geoseg.pipeline.canvas import Canvas, placed
from geoseg.pipeline.honesty import Impression
from geoseg.pipeline.outputs import RasterSinks, check_outputs, write_traced
from geoseg.pipeline.plan import make_plan, read_request
from geoseg.pipeline.request import SegmentReport
from geoseg.scene.georeference import short_name
from geoseg.scene.reader import open_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from geoseg.inference.blend import ScoreRows
    from geoseg.inference.network import Network
    from geoseg.model.file import Model
    from geoseg.pipeline.plan import Place, Plan
    from geoseg.pipeline.request import SegmentRequest
    from geoseg.vocabulary import ClassRows, SceneRows


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
        network = _network(request, plan, model)
        report = _report(request, plan, model, network, scene.stretch.text)
        impression = Impression(len(model.card.bands))
        canvas = Canvas(plan.trace.grid) if output.traced else None

        sinks = stack.enter_context(
            RasterSinks(publication, output, plan.scene.grid, model.card.legend, report.provenance())
        )
        read = Ahead(impression.of_pixels(scene.iter_rows(plan.windows.row_spans, plan.windows.col_span)))
        with read as strips:
            total = plan.windows.count

            def count(windows: int) -> None:
                report.windows += windows
                tell(report.windows, total, report.pixels * report.windows // total)

            place, classes = _classes(strips, request, plan, network, model, canvas, count)
            began = time.perf_counter()
            for rows in impression.of_classes(classes):
                decided = time.perf_counter()
                report.seconds["forward"] += decided - began
                if place is plan.scene:
                    sinks.write(rows)
                if canvas is not None and place is plan.trace:
                    canvas.write(rows)
                began = time.perf_counter()
                report.seconds["write"] += began - decided
        report.seconds["read"] = read.seconds
        report.warnings += [
            *scene.notes,
            *impression.warnings(model.card, _network_pixel_m(plan, scene.ground_pixel_m)),
        ]
        if canvas is not None:
            write_traced(canvas, request, plan, model.card.legend, publication, report)
    return _finished(report, time.perf_counter() - started)


def _network(request: SegmentRequest, plan: Plan, model: Model) -> Network:
    windows = plan.windows
    network = build_network(model, WindowShape(*windows.window, windows.halo - windows.reach), request.runs_on)
    return FlippedNetwork(network) if request.flips else network


def _classes(
    strips: Iterable[SceneRows],
    request: SegmentRequest,
    plan: Plan,
    network: Network,
    model: Model,
    canvas: Canvas | None,
    count: Callable[[int], None],
) -> tuple[Place, Iterator[ClassRows]]:
    """Return class rows and the grid they lie on: the scene's, or the network's where only polygons need them.

    Where class rasters are wanted on the scene's grid and polygons on the network's, the canvas is painted on the way.
    """
    legend, windows = model.card.legend, plan.windows
    if not plan.resampled and windows.blend != "taper" and not request.flips:
        return plan.scene, placed(decided_rows(strips, windows, network, legend, count), plan.scene, plan.area)
    scores = scored_rows(strips, windows, network, len(legend), count)
    if not plan.resampled:
        return plan.scene, placed(decide(scores, legend), plan.scene, plan.area)
    if plan.trace is plan.network and not request.output.has_rasters:
        return plan.network, placed(decide(scores, legend), plan.network, plan.area)

    def painted() -> Iterator[ScoreRows]:
        for strip in scores:
            if canvas is not None and plan.trace is plan.network:
                for rows in placed(decide([strip], legend), plan.network, plan.area):
                    canvas.write(rows)
            yield strip

    seen, wanted = plan.network, plan.scene
    onto = onto_grid(painted(), seen.whole.shape, wanted.whole.shape, seen.window, wanted.window)
    return wanted, placed(decide(onto, legend), wanted, plan.area)


def _network_pixel_m(plan: Plan, native_m: tuple[float, float]) -> float:
    """Return the ground pixel the network saw, in metres: the scene's own, grown as its pixels got fewer."""
    native, seen = plan.scene.whole, plan.network.whole
    shrink = (native.height * native.width) / (seen.height * seen.width)
    return float((native_m[0] * native_m[1] * shrink) ** 0.5)


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
