"""Tasks done on a Dask cluster: https://distributed.dask.org. The extra ``geoseg[cluster]`` installs what it needs.

Dask decides where a task runs and runs it again where a worker is lost. What is ours: few tasks at a time, so that the
scheduler holds no more than its workers can do soon; keys made of the run keys, so that a second client joins what the
first one began; and a second pass for tasks whose workers died, since Dask blames every task that a lost worker held.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import geoseg
from geoseg.batch.identity import combined
from geoseg.batch.perform import failed, perform
from geoseg.batch.task import Outcome
from geoseg.pipeline.warm import Warm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from geoseg.batch.task import Task

DESERTED_S = 600.0
"""How long a cluster may be without workers before a run ends."""
_AHEAD = 2  # tasks in hand for each thread of the workers
_TICK_S = 0.05
_LOOK_S = 2.0  # between looks at the workers, which come and go

KILLS = (
    "{source}: every worker that took it died, also when it was done alone; is memory too short, or the file damaged?"
)
LOST = "--scheduler: {where} was lost before everything was done; give the same command again to go on"
DESERTED = "--scheduler: {where} has had no workers for {minutes:.0f} minutes; give the same command again to go on"
CANCELLED = "it was cancelled on the cluster; give the same command again"


class Cluster:
    """A connection to a scheduler; made by :func:`geoseg.batch.connect.cluster`."""

    def __init__(self, client: Any, where: str, resources: dict[str, float] | None) -> None:
        self._client, self._where, self._resources = client, where, resources
        self._threads: dict[str, int] = {}  # of the workers, by their addresses
        self._looked = -_LOOK_S
        self._inhabited = time.monotonic()  # when there were workers last
        self._over = ""  # why the run cannot go on

    @property
    def dashboard(self) -> str:
        """Address of the page that shows what the cluster is doing; '' where there is none."""
        try:
            return str(self._client.dashboard_link or "")
        except KeyError:  # the scheduler has none
            return ""

    def run(self, tasks: Iterable[Task], warn: Callable[[str], None] = lambda _sentence: None) -> Iterator[Outcome]:
        """Do tasks on the cluster, and yield outcomes as they come; tasks without one were not done.

        Args:
            tasks: what to do; taken only as fast as it is done.
            warn: called with a sentence where the run ends before all is done.
        """
        suspects: list[Task] = []
        yield from self._pass(iter(tasks), suspects)
        for task in suspects:  # one at a time: a worker that dies now dies of this task
            again: list[Task] = []
            yield from self._pass(iter([task]), again, "-alone")
            if again:
                yield failed(task, KILLS.format(source=task.source))
        if self._over:
            warn(self._over)

    def _pass(self, waiting: Iterator[Task], suspects: list[Task], mark: str = "") -> Iterator[Outcome]:
        """Yield outcomes; tasks whose workers died are appended to ``suspects``."""
        from distributed import as_completed

        under_way: dict[str, Task] = {}
        finished = as_completed(loop=self._client.loop)
        while True:
            self._look()
            while not self._over and len(under_way) < self._room() and (task := next(waiting, None)) is not None:
                future = self._submit(task, mark)
                if future is not None:
                    under_way[future.key] = task
                    finished.add(future)
            if self._over or not under_way:
                return
            if not finished.has_ready():
                time.sleep(_TICK_S)
                continue
            future = next(finished)
            task = under_way[future.key]
            ended = self._ended(future, task)
            if ended == "unknown":
                finished.add(future)
                continue
            del under_way[future.key]
            future.release()
            if isinstance(ended, Outcome):
                yield ended
            elif ended == "killed":
                suspects.append(task)

    def _submit(self, task: Task, mark: str) -> Any:
        """Hand a task over, and return its future; None where the scheduler is gone."""
        key = f"geoseg-{combined([task.key, str(task.target)])}{mark}"
        told = task, self._beside(), geoseg.__version__
        try:
            return self._client.submit(_do, *told, key=key, pure=False, retries=0, resources=self._resources)
        except Exception:
            if self._client.status == "running":
                raise
            self._over = LOST.format(where=self._where)
            return None

    def _ended(self, future: Any, task: Task) -> Outcome | Literal["killed", "lost", "unknown"]:
        """Return what came of a task; that is not known yet where the worker was lost before it could tell."""
        from distributed import KilledWorker

        try:
            error = future.exception(timeout=_LOOK_S) if future.status == "error" else None
            if isinstance(error, KilledWorker):
                return "killed"
            if error is not None:
                return failed(task, f"{task.source}: {type(error).__name__}: {' '.join(str(error).split())}")
            outcome: Outcome = future.result(timeout=_LOOK_S)
        except TimeoutError:
            return "unknown"
        except Exception:  # noqa: BLE001 - cancelled, or the way to the result is cut off, which Dask says in many ways
            if self._client.status != "running":
                self._over = LOST.format(where=self._where)
                return "lost"
            return Outcome(task.name, task.source, "left", CANCELLED)
        return outcome

    def _look(self) -> None:
        """See from time to time which workers there are, and whether the run can go on."""
        if self._over:
            return
        now = time.monotonic()
        if now - self._looked < _LOOK_S and self._client.status == "running":
            return
        self._looked = now
        try:
            self._threads = self._client.nthreads() if self._client.status == "running" else {}
        except OSError:
            self._threads = {}
        if self._client.status != "running":
            self._over = LOST.format(where=self._where)
        elif self._threads:
            self._inhabited = now
        elif now - self._inhabited > DESERTED_S:
            self._over = DESERTED.format(where=self._where, minutes=DESERTED_S / 60)

    def _beside(self) -> dict[str, int]:
        """Return how many threads the workers of a machine have together: '' of most machines, others by address."""
        from distributed.comm import get_address_host

        found: Counter[str] = Counter()
        for address, threads in self._threads.items():
            found[get_address_host(address)] += threads
        usual = Counter(found.values()).most_common(1)[0][0] if found else 1
        return {"": usual} | {host: threads for host, threads in found.items() if threads != usual}

    def _room(self) -> int:
        """Return how many tasks may be in hand."""
        return max(1, _AHEAD * sum(self._threads.values()))


_kept = threading.local()  # a worker may do tasks in several threads; each has models of its own


def _do(task: Task, beside: Mapping[str, int], version: str) -> Outcome:
    """Do a task on a worker, with its share of the machine's processors."""
    from dask.system import CPU_COUNT
    from distributed import get_worker

    worker = get_worker()
    if version != geoseg.__version__:  # of workers that came later; the others have been asked
        sentence = f"{task.source}: worker {worker.address} has geoseg {geoseg.__version__}, expected {version}"
        return Outcome(task.name, task.source, "failed", sentence)
    if not hasattr(_kept, "warm"):
        _kept.warm = Warm()
    threads = max(1, CPU_COUNT // max(1, beside.get(worker.ip, beside[""])))
    outcome: Outcome = perform(task.on_threads(threads), _kept.warm)
    return outcome
