"""Do one task, in whatever process: the model stays loaded, and what goes wrong is told, not raised."""

from __future__ import annotations

import contextlib
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geoseg.batch import manifest
from geoseg.batch.lock import alone_with, remove_unheld
from geoseg.batch.task import Outcome
from geoseg.errors import GeosegError, OutsideAreaError
from geoseg.pipeline.parts import segment_part
from geoseg.pipeline.segment import segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from geoseg.batch.task import Task
    from geoseg.pipeline.request import SegmentReport
    from geoseg.pipeline.warm import Warm

    Tell = Callable[[int, int, int], None]

_KEPT = ("layers", "warnings", "device", "precision", "crs", "megapixels_per_second", "peak_rss_mb")


def perform(task: Task, warm: Warm, tell: Tell = lambda _done, _total, _pixels: None) -> Outcome:
    """Do a task unless it is done; a failure is an outcome, an interrupt is not.

    Args:
        task: what to do.
        warm: models and networks of earlier tasks of this process.
        tell: as for :func:`geoseg.pipeline.segment.segment`.
    """
    try:
        with alone_with(task.lock):
            return _performed(task, warm, tell)
    except GeosegError as error:  # no lock, no work
        return failed(task, str(error))


def _performed(task: Task, warm: Warm, tell: Tell) -> Outcome:
    """Do a task that nobody else is doing."""
    began = time.perf_counter()
    try:
        why = manifest.why_not_done(task)
        if not why:
            return kept(task)
        manifest.check_free(task)
        manifest.begin(task)
        report = _run(task, warm, tell)
        said = {name: getattr(report, name) for name in _KEPT}
        manifest.finish(task, said | {"pixels": report.pixels, "unreadable": report.unreadable})
        _remove_log(task)
    except OutsideAreaError as error:
        return _outside(task, str(error), time.perf_counter() - began)
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
    """Return the outcome of a task that was done, or found to be outside, before."""
    told = manifest.read(task.manifest) or {}
    if told.get("state") == "outside":
        return Outcome(task.name, task.source, "outside", str(told.get("why", "")))
    report = told.get("report")
    found: dict[str, Any] = report if isinstance(report, dict) else {}
    pixels, damaged = found.get("pixels", 0), tuple(found.get("unreadable", ()))
    said = {name: found[name] for name in _KEPT if name in found}
    return Outcome(task.name, task.source, "kept", "", 0.0, pixels, tuple(map(str, task.outputs)), said, damaged)


def left(task: Task) -> Outcome:
    """Return the outcome of a task that had no turn, or whose outcome was not heard of any more."""
    why = manifest.why_not_done(task)
    return Outcome(task.name, task.source, "left", why) if why else kept(task)


def told_by_log(task: Task) -> Outcome:
    """Return what a shard has left of a task that is not done: a log where it failed."""
    try:
        sentence = task.log.read_text("utf-8", errors="replace").strip().splitlines()[0]
    except (OSError, IndexError):
        return left(task)
    return Outcome(task.name, task.source, "failed", sentence)


def failed(task: Task, sentence: str, seconds: float = 0.0, trace: str = "") -> Outcome:
    """Return the outcome of a task that could not be done, write its log, and clear away what a dead process left.

    Another process may have done it meanwhile: then its result stands.
    """
    sentence, trace = (_without_secrets(text, task) for text in (sentence, trace))
    with contextlib.suppress(OSError):  # the report says it, too
        remove_unheld(task.lock)
        if manifest.why_not_done(task):
            manifest.give_up(task)
            manifest.replace_text(task.log, f"{sentence}\n\n{trace}" if trace else f"{sentence}\n")
    return Outcome(task.name, task.source, "failed", sentence, seconds)


def _outside(task: Task, sentence: str, seconds: float) -> Outcome:
    sentence = _without_secrets(sentence, task)
    with contextlib.suppress(OSError):  # it is looked at again, then
        manifest.leave_out(task, sentence)
        _remove_log(task)
    return Outcome(task.name, task.source, "outside", sentence, seconds)


def _run(task: Task, warm: Warm, tell: Tell) -> SegmentReport:
    if task.part is not None and task.rows is not None:
        return segment_part(task.request, task.part, task.rows, tell, warm)
    output = replace(task.request.output, overwrite=True)  # what lies there is ours, or may be replaced
    return segment(replace(task.request, output=output), tell, warm)


def _remove_log(task: Task) -> None:
    """Remove the log of an earlier failure."""
    with contextlib.suppress(OSError):
        task.log.unlink(missing_ok=True)


def _without_secrets(text: str, task: Task) -> str:
    """Return a text in which the scene's address is shown as everywhere: without passwords and keys."""
    scene = task.request.scene
    return text.replace(scene, task.source) if isinstance(scene, str) else text
