"""Tasks done on this machine: one after the other in this process, or in a pool of processes.

A pool breaks when one of its processes dies, as of a crash in a driver or for want of memory. Every task that was
under way is suspected then, done again alone in a process of its own, and the one that kills that is named.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geoseg.batch import manifest
from geoseg.batch.lock import remove_unheld
from geoseg.batch.perform import failed, kept, perform
from geoseg.pipeline.warm import Warm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.process import BaseProcess

    from geoseg.batch.task import Outcome, Task

_AHEAD = 2  # tasks in hand for each process: one to do, one to go on with
_PATIENCE_S = 3.0  # that processes get to clean up before they are killed

KILLS = "{source}: its process was killed while it was done alone; is memory too short, or the file damaged?"


def one_by_one(tasks: Iterable[Task], tell: Callable[[int], None]) -> Iterator[Outcome]:
    """Do tasks in this process, those that it died of the last time in one of their own.

    Args:
        tasks: what to do.
        tell: called with the pixels done of the task under way.
    """
    warm = Warm()
    for task in tasks:
        try:
            if manifest.killed(task):  # perhaps by what is in the file: it does not take this process with it
                yield _alone(task, None)
            else:
                yield perform(task, warm, lambda _done, _total, pixels: tell(pixels))
        except BaseException:  # an interrupt
            _tidy_up(task)
            raise


def in_a_pool(tasks: Iterable[Task], jobs: int, gpus: list[str] | None = None) -> Iterator[Outcome]:
    """Do tasks in processes, and yield outcomes as they come.

    Args:
        tasks: what to do; taken only as fast as it is done.
        jobs: how many processes.
        gpus: names of accelerators, given out to the processes in turn; None leaves the choice to the tasks.
    """
    waiting = iter(tasks)
    suspected: set[str] = set()
    while True:
        pool = _Pool(jobs, gpus)
        try:
            for outcome in pool.run(waiting):
                yield _done_unheard(outcome) if outcome.name in suspected else outcome
        finally:
            pool.stop()
        if not pool.suspects:
            return
        suspected |= {task.name for task in pool.suspects}
        # Most of them only waited in the pool; where none had begun, any may be to blame.
        begun = {task.name for task in pool.suspects if manifest.killed(task)}
        suspects = [task for task in pool.suspects if task.name in begun or not begun]
        for task in suspects:
            yield _done_unheard(_alone(task, gpus))
        if begun:
            waiting = itertools.chain((task for task in pool.suspects if task.name not in begun), waiting)


def _done_unheard(outcome: Outcome) -> Outcome:
    """Return the outcome of a suspected task: what is there already was done by a process that is gone, unheard."""
    return replace(outcome, status="done") if outcome.status == "kept" else outcome


def _alone(task: Task, gpus: list[str] | None) -> Outcome:
    """Do a task in a process of its own, whose death is the task's."""
    pool = _Pool(1, gpus)
    try:
        outcomes = list(pool.run(iter([task])))
    finally:
        pool.stop()
    if not pool.suspects:
        return outcomes[0]
    if manifest.why_not_done(task):
        return failed(task, KILLS.format(source=task.source))
    return _done_unheard(kept(task))  # its process died once the result was there


class _Pool:
    """A pool of processes that may break."""

    def __init__(self, jobs: int, gpus: list[str] | None) -> None:
        context = multiprocessing.get_context("spawn")  # threads and GDAL do not survive a fork
        names = context.Queue() if gpus else None
        for name in itertools.islice(itertools.cycle(gpus or ()), jobs if gpus else 0):
            names.put(name)  # type: ignore[union-attr]
        self._executor = ProcessPoolExecutor(jobs, context, _settle_in, (names,))
        self._room = jobs * _AHEAD
        self._under_way: dict[Future[Outcome], Task] = {}
        self.suspects: list[Task] = []
        """Tasks that were under way when the pool broke."""

    def run(self, waiting: Iterator[Task]) -> Iterator[Outcome]:
        """Yield outcomes until there are no more tasks or the pool breaks."""
        under_way = self._under_way
        broken = False
        while True:
            while not broken and len(under_way) < self._room and (task := next(waiting, None)) is not None:
                try:
                    with _interrupts_held():  # Ctrl-C reaches processes that begin, too
                        under_way[self._executor.submit(_do, task)] = task
                except BrokenProcessPool:
                    self.suspects.append(task)
                    broken = True
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                task = under_way.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    self.suspects.append(task)
                    broken = True

    def stop(self) -> None:
        """End all processes; those that are at work may remove their temporary files first, of others we do."""
        processes: list[BaseProcess] = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        until = time.monotonic() + _PATIENCE_S
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        for task in (*self._under_way.values(), *self.suspects):
            _tidy_up(task)


def _tidy_up(task: Task) -> None:
    """Remove what a process that is gone left of its work."""
    with contextlib.suppress(OSError):
        manifest.clear_away(task)
        remove_unheld(task.lock)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Put signals off until the block is left, and keep SIGINT from processes that begin in it, where that can be.

    A pool that is interrupted while it starts its processes can be neither used nor ended.
    """
    if threading.current_thread() is not threading.main_thread():  # where signals are never heard
        yield
        return
    heard: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _frame: heard.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])


_warm: Warm | None = None  # of this process


def _settle_in(gpus: Any) -> None:
    """Make a process of the pool ready: signals, its accelerator, and an end with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    signal.signal(signal.SIGTERM, _stop)
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _stop(_number: int, _frame: Any) -> None:
    """Leave the task under way by an exception, so that it removes its temporary files."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(143)


def _do(task: Task) -> Outcome:
    """Do a task in a process of the pool."""
    global _warm  # noqa: PLW0603 - a process keeps its models between tasks
    _warm = _warm or Warm()
    try:
        return perform(task, _warm)
    except SystemExit as stopped:  # the pool would send it to the parent, and go on
        os._exit(int(stopped.code or 0))


def gpus_here() -> list[str]:
    """Return the CUDA devices that processes may be given, as CUDA_VISIBLE_DEVICES has them; [] without any."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    import shutil
    import subprocess

    asked = shutil.which("nvidia-smi")
    if asked is None:
        return []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(  # noqa: S603 - a fixed program and arguments
            [asked, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return listed.stdout.split()
    return []
