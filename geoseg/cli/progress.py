"""Progress on standard error: a bar for people, JSON lines for programs."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from geoseg.cli import stopping
from geoseg.cli.options import RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator


class Meter(Protocol):
    """Something that can be told how far a stage has come."""

    def at(self, done: int, total: int, pixels: int = 0, failed: int = 0) -> None:
        """Tell steps done, steps in all, scene pixels done (for the rate), and steps that failed so far."""

    def stage(self, stage: str, unit: str) -> Meter:
        """Turn to another stage, if this is another, and return the meter."""


class _Silent:
    def at(self, done: int, total: int, pixels: int = 0, failed: int = 0) -> None:  # noqa: ARG002
        stopping.check()

    def stage(self, stage: str, unit: str) -> Meter:  # noqa: ARG002
        return self


class _JsonLines:
    """One line per change, at most ten a second."""

    def __init__(self, stage: str, unit: str) -> None:
        self.name, self.unit = stage, unit
        self.last = 0.0

    def stage(self, stage: str, unit: str) -> Meter:
        self.name, self.unit = stage, unit
        return self

    def at(self, done: int, total: int, pixels: int = 0, failed: int = 0) -> None:
        stopping.check()
        now = time.monotonic()
        if done < total and now - self.last < 0.1:
            return
        self.last = now
        event = {"event": "progress", "stage": self.name, "done": done, "total": total, "unit": self.unit}
        if pixels:
            event["pixels"] = pixels
        if failed:
            event["failed"] = failed
        print(json.dumps(event), file=sys.stderr, flush=True)  # noqa: T201


class _Bar:
    """A bar with megapixels per second and the time left."""

    def __init__(self, stage: str, unit: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}s {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self.name, self.unit = stage, unit
        self.task = self.bar.add_task(stage, total=None, rate="", unit=unit)
        self.started = time.monotonic()

    def stage(self, stage: str, unit: str) -> Meter:
        if (stage, unit) != (self.name, self.unit):
            self.bar.remove_task(self.task)
            self.name, self.unit, self.started = stage, unit, time.monotonic()
            self.task = self.bar.add_task(stage, total=None, rate="", unit=unit)
        return self

    def at(self, done: int, total: int, pixels: int = 0, failed: int = 0) -> None:
        stopping.check()
        rate = f"{pixels / 1e6 / max(time.monotonic() - self.started, 1e-3):.1f} Mpx/s" if pixels else ""
        rate += f" {failed} failed" if failed else ""
        self.bar.update(self.task, completed=done, total=total, rate=rate)


@contextmanager
def progress_on(kind: str, stage: str, unit: str) -> Iterator[Meter]:
    """Yield a meter of the kind asked for with ``--progress``; auto is a bar on a terminal and silence elsewhere."""
    if kind == "bar" or (kind == "auto" and sys.stderr.isatty()):
        meter = _Bar(stage, unit)
        with meter.bar:
            yield meter
    elif kind == "json":
        yield _JsonLines(stage, unit)
    else:
        yield _Silent()


def message(kind: str, text: str, level: Literal["result", "warning"] = "warning") -> None:
    """Tell a sentence beside the progress: as a JSON line where programs listen, else in plain words.

    Plain words obey ``-q``: they go through the package's log.
    """
    if kind == "json":
        shown = "info" if level == "result" else level
        print(json.dumps({"event": "message", "level": shown, "text": text}), file=sys.stderr, flush=True)  # noqa: T201
    else:
        logging.getLogger("geoseg").log(RESULT if level == "result" else logging.WARNING, "%s", text)
