"""Do one task, in whatever process: the model stays loaded, and what goes wrong is told, not raised."""

from __future__ import annotations

import contextlib
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geoseg.batch import manifest
from geoseg.batch.lock import alone_with
from geoseg.batch.task import Outcome
from geoseg.errors import GeosegError, OutsideAreaError
from geoseg.pipeline.parts import segment_part
from geoseg.pipeline.segment import segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from geoseg.batch.task import Status, Task
    from geoseg.pipeline.request import SegmentReport
    from geoseg.pipeline.warm import Warm

_KEPT = ("layers", "warnings", "device", "precision", "crs", "megapixels_per_second", "peak_rss_mb")


def perform(task: Task, warm: Warm, tell: Callable[[int, int, int], None] = lambda _d, _t, _p: None) -> Outcome:
    """Do a task unless it is done; a failure is an outcome, an interrupt is not.

    Args:
        task: what to do.
        warm: models and networks of earlier tasks of this process.
        tell: as for :func:`geoseg.pipeline.segment.segment`.
    """
    began = time.perf_counter()
    try:
        with alone_with(task.lock):
            why = manifest.why_not_done(task)
            if not why:
                return kept(task)
            manifest.check_free(task)
            manifest.begin(task)
            report = _run(task, warm, tell)
            said = {name: getattr(report, name) for name in _KEPT}
            manifest.finish(task, said | {"pixels": report.pixels, "unreadable": report.unreadable})
            task.log.unlink(missing_ok=True)
    except OutsideAreaError as error:
        return _ended(task, "outside", str(error), began)
    except GeosegError as error:
        return failed(task, str(error), time.perf_counter() - began)
    except Exception as error:  # noqa: BLE001 - one bad tile never ends a batch
        sentence = f"{task.source}: internal error, please report it with its log: {type(error).__name__}: {error}"
        return failed(task, sentence, time.perf_counter() - began, traceback.format_exc())
    return Outcome(
        task.name,
        task.source,
        "done",
        why,
        time.perf_counter() - began,
        report.pixels,
        tuple(map(str, task.outputs)),
        said,
        tuple(report.unreadable),
    )


def kept(task: Task) -> Outcome:
    """Return the outcome of a task that was done before."""
    told: dict[str, Any] = (manifest.read(task.manifest) or {}).get("report", {})
    pixels, damaged = told.get("pixels", 0), tuple(told.get("unreadable", ()))
    said = {name: told[name] for name in _KEPT if name in told}
    return Outcome(task.name, task.source, "kept", "", 0.0, pixels, tuple(map(str, task.outputs)), said, damaged)


def failed(task: Task, sentence: str, seconds: float = 0.0, trace: str = "") -> Outcome:
    """Return the outcome of a task that could not be done, and write its log, unless another process has done it."""
    with contextlib.suppress(OSError):  # the report says it, too
        if manifest.why_not_done(task):
            manifest.give_up(task)
            task.log.write_text(f"{sentence}\n\n{trace}" if trace else f"{sentence}\n", "utf-8", errors="replace")
    return Outcome(task.name, task.source, "failed", sentence, seconds)


def _run(task: Task, warm: Warm, tell: Callable[[int, int, int], None]) -> SegmentReport:
    if task.part is not None and task.rows is not None:
        return segment_part(task.request, task.part, task.rows, tell, warm)
    output = replace(task.request.output, overwrite=True)  # what lies there is ours, or may be replaced
    return segment(replace(task.request, output=output), tell, warm)


def _ended(task: Task, status: Status, why: str, began: float) -> Outcome:
    task.manifest.unlink(missing_ok=True)
    return Outcome(task.name, task.source, status, why, time.perf_counter() - began)
