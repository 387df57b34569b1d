"""``batch``: many scenes through ``segment``, one result of each or one map of all."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geoseg.batch import manifest
from geoseg.batch.joining import join
from geoseg.batch.local import gpus_here, in_a_pool, one_by_one
from geoseg.batch.mosaic import looked_at, make_map_folder, maps_of
from geoseg.batch.perform import kept, left, told_by_log
from geoseg.batch.plan import check_wishes
from geoseg.batch.report import BatchReport
from geoseg.batch.scenes import make_folders, scene_tasks
from geoseg.batch.task import Outcome
from geoseg.model.file import load_card

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from geoseg.batch.request import BatchRequest
    from geoseg.batch.task import Task
    from geoseg.model.card import ModelCard

    Executor = Callable[[Iterable[Task]], Iterator[Outcome]]


@dataclass(slots=True)
class Progress:
    """How far a batch has come."""

    stage: str
    """``look`` while tiles of a mosaic are opened, ``segment``, or ``join``."""
    unit: str
    """What is counted: ``tile``, or ``part`` of a mosaic."""
    total: int = 0
    done: int = 0
    failed: int = 0
    pixels: int = 0
    """Pixels of scenes that were segmented, those of the one under way included where it is known."""


@dataclass(slots=True)
class Watch:
    """What a batch tells while it runs."""

    progress: Callable[[Progress], None] = lambda _progress: None
    say: Callable[[str], None] = lambda _sentence: None
    """Called with sentences, such as where the dashboard of a cluster is."""
    failure: Callable[[Outcome], None] = lambda _outcome: None
    """Called with every scene that failed."""


def batch(request: BatchRequest, watch: Watch | None = None) -> BatchReport:
    """Do what is not done yet, and write a report; a scene that fails does not end the run.

    Args:
        request: what to do.
        watch: what is told while the batch runs.

    Raises:
        UsageError: the request contradicts itself, or the scheduler cannot be used.
        ModelError: the model cannot be used.
        OutputError: folder or report cannot be written.
        Interrupted: a signal ended the run; the report says what was done.
    """
    run = _Run(request.seen_from_anywhere() if request.where.on_cluster else request, watch or Watch())
    began = time.perf_counter()
    try:
        run.all()
    except BaseException:
        run.report.interrupted = True
        raise
    finally:
        run.report.seconds = time.perf_counter() - began
        if run.ready:
            run.report.write()
    return run.report


@dataclass(slots=True)
class _Run:
    """One run of a batch."""

    request: BatchRequest
    watch: Watch
    report: BatchReport = field(init=False)
    ready: bool = False
    """Whether there is a folder for the report."""

    def __post_init__(self) -> None:
        shard = self.request.where.shard
        self.report = BatchReport(self.request.folder, shard=f"{shard[0]}/{shard[1]}" if shard else "")

    def all(self) -> None:
        """Do everything."""
        request = self.request
        card = load_card(request.how.model)
        self.report.model = {"name": card.name, "sha256": card.tensors_sha256}
        check_wishes(request, card)
        if request.mosaic is not None:
            self._map(card)
            return
        make_folders(request)
        self.ready = True
        tasks, found = list(scene_tasks(request, card)), dict[str, Outcome]()
        try:
            self._done(tasks, "tile", found)
        finally:
            self.report.outcomes = [found.get(task.name) or left(task) for task in tasks]

    def _map(self, card: ModelCard) -> None:
        """Make one map of all tiles."""
        request, report = self.request, self.report
        make_map_folder(request)
        self.ready = True
        looking = Progress("look", "tile", len(request.inputs))

        def looked(number: int) -> None:
            looking.done = number
            self.watch.progress(looking)

        tiles, lost = looked_at(request.inputs, request, card, looked)
        for outcome in lost:
            self.watch.failure(outcome)
        report.outcomes = list(lost)
        if not tiles or self._too_many(len(lost)):
            report.outcomes += [Outcome(tile.path, tile.path, "left", "the run ended before") for tile in tiles]
            return
        plans, outside = maps_of(tiles, request, card)
        for plan in plans:
            manifest.check_free(plan.joining)
        tasks = [task for plan in plans for task in plan.tasks]
        mine = [task for i, task in enumerate(tasks) if request.where.is_mine(i)]
        by_name: dict[str, Outcome] = {}
        try:
            self._done(mine, "part", by_name, len(lost))
        finally:
            by_name |= {task.name: left(task) for task in mine if task.name not in by_name}
            report.outcomes = [*lost, *outside, *(outcome for plan in plans for outcome in plan.of_tiles(by_name))]
        if request.where.shard is None and not report.interrupted:
            self.watch.progress(Progress("join", "map", len(plans)))
            for number, plan in enumerate(plans, 1):
                joined, failure = join(plan, by_name)
                report.maps.append(joined)
                if failure is not None:
                    report.outcomes.append(failure)
                    self.watch.failure(failure)
                self.watch.progress(Progress("join", "map", len(plans), number))

    def _done(self, tasks: list[Task], unit: str, found: dict[str, Outcome], failed: int = 0) -> None:
        """Do tasks, and put their outcomes into ``found`` as they come.

        Args:
            tasks: what to do.
            unit: what they are called.
            found: outcomes by name.
            failed: failures before.
        """
        progress = Progress("segment", unit, len(tasks), failed=failed)
        try:
            # Closed at once when the run ends early: processes of a pool must not outlive it.
            with self._executor(progress) as execute, _closed(self._outcomes(tasks, execute)) as doing:
                for outcome in doing:
                    found[outcome.name] = outcome
                    progress.done += 1
                    progress.failed += outcome.status == "failed"
                    progress.pixels += outcome.pixels if outcome.status == "done" else 0
                    if outcome.status == "failed":
                        self.watch.failure(outcome)
                    self.watch.progress(progress)
                    if self._too_many(progress.failed):
                        break
        finally:
            self.report.pixels = progress.pixels

    def _too_many(self, failed: int) -> bool:
        """Return whether so many failures end the run, and note that."""
        most = self.request.max_failures
        if most is None or failed <= most or self.request.collect:
            return False
        self.report.warnings.append(f"ended after {failed} failures (--max-failures {most})")
        self.report.interrupted = True
        return True

    def _outcomes(self, tasks: list[Task], execute: Executor) -> Iterator[Outcome]:
        """Yield the outcomes of tasks that are done already, and of those that are done now."""
        kept_ones: list[Outcome] = []

        def undone() -> Iterator[Task]:
            for task in tasks:
                if manifest.why_not_done(task):
                    yield task
                else:
                    kept_ones.append(kept(task))

        waiting = undone()
        if self.request.collect:
            for task in waiting:
                yield from kept_ones
                kept_ones.clear()
                yield told_by_log(task)
        else:
            with _closed(execute(waiting)) as doing:
                for outcome in doing:
                    yield from kept_ones
                    kept_ones.clear()
                    yield outcome
        yield from kept_ones

    @contextmanager
    def _executor(self, progress: Progress) -> Iterator[Executor]:
        """Yield what does tasks, by what the request says on where."""
        where = self.request.where
        if where.on_cluster:
            from geoseg.batch.connect import cluster

            gpu = self.request.how.runs_on.device.startswith("cuda")
            with cluster(where, self.request.folder, gpu=gpu) as connected:
                if connected.dashboard:
                    self.watch.say(f"dashboard: {connected.dashboard}")
                yield lambda tasks: connected.run(tasks, self.report.warnings.append)
        elif where.jobs > 1:
            threads = max(1, (os.cpu_count() or 1) // where.jobs)
            gpus = gpus_here() if self.request.how.runs_on.device in ("auto", "cuda") else []
            yield lambda tasks: in_a_pool((task.on_threads(threads) for task in tasks), where.jobs, gpus or None)
        else:

            def tell(pixels: int) -> None:
                before, progress.pixels = progress.pixels, progress.pixels + pixels
                self.watch.progress(progress)
                progress.pixels = before

            yield lambda tasks: one_by_one(tasks, tell)


@contextmanager
def _closed(outcomes: Iterator[Outcome]) -> Iterator[Iterator[Outcome]]:
    """Yield what does tasks, and end it when the block is left, however that happens."""
    try:
        yield outcomes
    finally:
        if isinstance(outcomes, Generator):
            outcomes.close()
