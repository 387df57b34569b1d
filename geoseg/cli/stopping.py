"""A signal that asks the run to stop: raised in the main thread where that does no harm, and never lost.

Python calls a signal's handler between any two steps of the program. An exception that it raises in a finalizer is
printed and dropped, and the run goes on; one that it raises in the middle of an import can leave the lock of all
imports taken, and the run hangs. So it waits while something is imported or compiled, and comes again where it was
dropped. A second signal of the same kind ends the process at once.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import gc
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from geoseg.errors import Interrupted

if TYPE_CHECKING:
    from types import FrameType

SIGNALS = [signal.SIGINT, signal.SIGTERM]
"""What asks a run to stop."""
if sys.platform == "win32":
    SIGNALS.append(signal.SIGBREAK)  # what one program can send another there

_AGAIN_S = 0.02  # between two attempts to raise
_PATIENCE_S = 3.0  # for an import or a compilation to end; then it is raised wherever the program is

_MAIN = threading.main_thread().ident or 0
_COMPILER = f"{os.sep}numba{os.sep}"


class _Stop:
    """What was asked for, and whether the main thread is on its way out."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.since = 0.0
        self.leaving = False
        self.reminding = False


_stop = _Stop()
_before: dict[int, Any] = {}  # handlers of who called the command line
_unraisable = sys.unraisablehook


def listen() -> None:
    """Raise Interrupted in the main thread when a signal asks the run to stop; to be called there."""
    _stop.__init__()  # type: ignore[misc] # a program may call the command line more than once
    if not _before:
        atexit.register(_ignore)  # first, to be called last
    for number in SIGNALS:
        earlier = signal.signal(number, _hear)
        if earlier is not _hear:
            _before[number] = earlier
    sys.unraisablehook = _look_at_dropped


def reason() -> Interrupted | None:
    """Return what was asked for, None if nothing was: whatever goes wrong from then on, goes wrong of that."""
    return None if _stop.number is None else _interrupted(_stop.number)


def check() -> None:
    """Raise again what was asked for, where a library has caught it and the run went on; of the main thread."""
    if _stop.number is not None:
        _raise(_stop.number)


def leave(code: int) -> NoReturn:
    """End the process when all is done and told; a signal is not heard any more, a second one of its kind is.

    A run that was stopped ends at once: threads of libraries may be at work still, and taking the interpreter down
    under them can crash.
    """
    _stop.leaving = True
    if _stop.number is None:
        sys.exit(code)
    gc.collect()  # what was unwound and hangs together, as generators that have files to remove
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()  # noqa: SLF001 - what `os._exit` leaves out
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _ignore() -> None:
    """Let the interpreter be taken down, which is soon done; SIGTERM ends what hangs there."""
    if signal.getsignal(signal.SIGINT) is _hear:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _hear(number: int, frame: FrameType | None) -> None:
    """Take a signal, or a reminder of it, in the main thread."""
    if _stop.leaving:
        if _stop.number is None:  # all is done; a second one is for whoever called the command line
            signal.signal(number, _before.get(number, signal.SIG_DFL))
        elif not _stop.reminding:  # not a reminder that comes late
            signal.signal(number, signal.SIG_DFL)
        return
    if _stop.number is None:
        _stop.number, _stop.since = number, time.monotonic()
        signal.signal(number, signal.SIG_DFL)  # a second signal ends the process at once
    if time.monotonic() - _stop.since > _PATIENCE_S or not _is_in_the_middle(frame):
        _raise(_stop.number)
    _remind()


def _is_in_the_middle(frame: FrameType | None) -> bool:
    """Return whether something is being imported or compiled."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib") or _COMPILER in file:
            return True
        frame = frame.f_back
    return False


def _raise(number: int) -> NoReturn:
    _stop.leaving = True
    raise _interrupted(number)


def _interrupted(number: int) -> Interrupted:
    stopped = Interrupted(f"stopped by {signal.Signals(number).name}; nothing was left half-written")
    stopped.exit_code = 128 + number
    return stopped


def _remind() -> None:
    """Call the handler again, soon and until it has raised."""
    if not _stop.reminding:
        _stop.reminding = True
        _thread.start_new_thread(_keep_reminding, ())  # takes no lock that the main thread may hold


def _another() -> signal.Signals:
    """Return a signal that can be told from the one that was heard, which has no handler any more."""
    return next(number for number in SIGNALS if number != _stop.number)


def _keep_reminding() -> None:
    another = _another()
    while True:
        time.sleep(_AGAIN_S)
        if _stop.leaving:
            break
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(_MAIN, another)  # wakes it where it waits
        else:
            _thread.interrupt_main(another)
    _stop.reminding = False


def _look_at_dropped(dropped: Any) -> None:
    """Hear of an exception that Python drops."""
    if not isinstance(dropped.exc_value, Interrupted):
        _unraisable(dropped)
        return
    _stop.leaving = False
    signal.signal(_another(), _hear)
    _remind()
