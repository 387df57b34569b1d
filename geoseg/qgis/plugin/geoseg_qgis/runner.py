"""Start geoseg, pass on what it tells, stop it when asked to. Nothing of Qt or QGIS is imported here."""

from __future__ import annotations

import json
import math
import queue
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .one_bar import OneBar
from .process import Child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GRACE_S = 30.0
"""Seconds that geoseg has to leave by itself when it is asked to stop: it first finishes the window it computes."""

_ASK_AGAIN_S = 2.0  # after a first time that was perhaps not heard
_HELD_OPEN_S = 5.0  # how long pipes may stay open after the child is gone


class Feedback(Protocol):
    """What of a QgsProcessingFeedback is used."""

    def setProgress(self, percent: float) -> None: ...  # noqa: D102, N802
    def pushInfo(self, text: str) -> None: ...  # noqa: D102, N802
    def pushWarning(self, text: str) -> None: ...  # noqa: D102, N802
    def pushConsoleInfo(self, text: str) -> None: ...  # noqa: D102, N802
    def isCanceled(self) -> bool: ...  # noqa: D102, N802


class GeosegFailed(Exception):  # noqa: N818 - as it reads where it is caught
    """Raised when geoseg ended with an error; its text is geoseg's own sentence."""

    def __init__(self, sentence: str, exit_code: int, report: dict[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.report = report
        """What it printed all the same, as a batch does of which some scenes failed."""


class Stopped(Exception):  # noqa: N818
    """Raised when the run was cancelled; geoseg is gone by then."""


def run(
    command: Sequence[str],
    feedback: Feedback,
    environment: Mapping[str, str],
    shares: Mapping[str, tuple[float, float]] | None = None,
    grace_s: float = GRACE_S,
) -> dict[str, Any]:
    """Run a command that prints one JSON object, and tells its progress with ``--progress json``.

    Args:
        command: the program and all its arguments.
        feedback: hears of progress and messages, and says when to stop; called from this thread only.
        environment: of the child.
        shares: the stages on the bar, see `OneBar`.
        grace_s: seconds between asking the child to stop and ending it.

    Returns:
        The object it printed.

    Raises:
        GeosegFailed: it could not be started, ended with an error, or printed nothing.
        Stopped: feedback said so.
    """
    try:
        child = Child(command, environment)
    except OSError as error:
        raise GeosegFailed(f"{command[0]}: cannot be started ({error.strerror})", 1) from None
    heard = _Heard(feedback, OneBar(shares or {}))
    try:
        stopped = _listen(child, heard, grace_s)
    finally:
        child.end()
    return heard.result(child.code, stopped=stopped)


def _listen(child: Child, heard: _Heard, grace_s: float) -> bool:
    """Pass lines on until both pipes are closed; return whether the child was asked to stop."""
    open_pipes, stop_at, ask_again_at, gone_at = 2, None, math.inf, None
    while open_pipes:
        if stop_at is None and heard.feedback.isCanceled():
            ask_again_at = time.monotonic() + _ASK_AGAIN_S
            stop_at = time.monotonic() + (grace_s if child.ask_to_stop() else 0)
        if time.monotonic() >= ask_again_at:
            ask_again_at = math.inf
            child.ask_to_stop(again=True)
        if stop_at is not None and time.monotonic() >= stop_at:
            child.kill()
        try:
            name, line = child.lines.get(timeout=0.1)
        except queue.Empty:
            if child.is_gone():
                gone_at = gone_at or time.monotonic()
                if time.monotonic() - gone_at > _HELD_OPEN_S:
                    child.kill()  # what it left behind holds the pipes
                    break
            continue
        if line is None:
            open_pipes -= 1
        elif name == "out":
            heard.printed.append(line)
        else:
            heard.told(line)
    return stop_at is not None


@dataclass
class _Heard:
    """What a run has told so far."""

    feedback: Feedback
    bar: OneBar

    def __post_init__(self) -> None:
        self.printed: list[str] = []
        self.last: deque[str] = deque(maxlen=5)
        self.error = ""

    def told(self, line: str) -> None:
        """Take one line of standard error."""
        event = _event(line)
        kind = event.get("event")
        if kind == "progress":
            self.feedback.setProgress(
                self.bar.at(str(event.get("stage")), _number(event, "done"), _number(event, "total"))
            )
        elif kind == "message":
            text = str(event.get("text", ""))
            (self.feedback.pushInfo if event.get("level") == "info" else self.feedback.pushWarning)(text)
        elif line.startswith(("geoseg: ", "Error: ")):
            self.error = line.split(": ", 1)[1]
        elif line.strip():
            self.last.append(line)
            self.feedback.pushConsoleInfo(line)

    def result(self, code: int, *, stopped: bool) -> dict[str, Any]:
        """Return what was printed, or raise what went wrong."""
        report = _event(next((line for line in reversed(self.printed) if line.strip()), ""))
        if code == 0 and report:
            self.feedback.setProgress(100.0)
            return report
        if stopped:
            raise Stopped
        if self.error:
            raise GeosegFailed(self.error, code, report or None)
        said = " ".join(" ".join(self.last).split())[-500:]
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code} and without a result"
        raise GeosegFailed(f"geoseg {ended}" + (f"; it said: {said}" if said else ""), code)


def _event(line: str) -> dict[str, Any]:
    """Return the JSON object of a line; empty where it is none."""
    if not line.startswith("{"):
        return {}
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _number(event: dict[str, Any], name: str) -> float:
    value = event.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0
