"""Tasks done on a Dask cluster: https://distributed.dask.org. The extra ``geoseg[cluster]`` installs what it needs.

Dask decides where a task runs and runs it again where a worker is lost. What is ours: few tasks at a time, so that a
million of them take no memory; keys made of the run keys, so that a second client joins what the first one began; and a
second pass for tasks whose workers died, since Dask blames every task that a lost worker held.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import geoseg
from geoseg.batch.perform import failed, perform
from geoseg.errors import UsageError
from geoseg.pipeline.warm import Warm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geoseg.batch.task import Outcome, Task

CONNECT_S = 10
"""Longest wait for a scheduler, in seconds."""
WORKERS_S = 60
"""Longest wait for the first worker."""
_AHEAD = 2  # tasks in hand for each thread of the workers

KILLS = (
    "{source}: every worker that took it died, also when it was done alone; is memory too short, or the file damaged?"
)
LOST = "{source}: the scheduler was lost before it was done; give the same command again to go on"


class Cluster:
    """A connection to a scheduler."""

    def __init__(self, client: Any, resources: dict[str, float] | None) -> None:
        self._client, self._resources = client, resources

    @property
    def dashboard(self) -> str:
        """Address of the page that shows what the cluster is doing; '' where there is none."""
        return str(self._client.dashboard_link or "")

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Do tasks on the cluster, and yield outcomes as they come."""
        suspects: list[Task] = []
        yield from self._pass(iter(tasks), suspects, room=None)
        for task in suspects:  # one at a time: a worker that dies now dies of this task
            again: list[Task] = []
            yield from self._pass(iter([task]), again, room=1)
            if again:
                yield failed(task, KILLS.format(source=task.source))

    def _pass(self, waiting: Iterator[Task], suspects: list[Task], room: int | None) -> Iterator[Outcome]:
        """Yield outcomes; tasks whose workers died are appended to ``suspects``."""
        from distributed import KilledWorker, as_completed

        under_way: dict[Any, Task] = {}
        finished = as_completed(raise_errors=False)

        def go_on() -> None:
            beside = self._beside()
            while len(under_way) < (room or self._room()) and (task := next(waiting, None)) is not None:
                future = self._client.submit(
                    _do, task, beside, key=f"geoseg-{task.key}", pure=False, retries=0, resources=self._resources
                )
                under_way[future] = task
                finished.add(future)

        go_on()
        while under_way:
            future = next(finished)
            task = under_way.pop(future)
            if future.status == "finished":
                yield future.result()
            elif future.status == "error":
                error = future.exception()
                if isinstance(error, KilledWorker):
                    suspects.append(task)
                else:
                    yield failed(task, f"{task.source}: {type(error).__name__}: {error}")
            else:  # cancelled or lost
                yield failed(task, LOST.format(source=task.source))
            future.release()
            go_on()

    def _beside(self) -> dict[str, int]:
        """Return how many threads the workers of each machine have together, by the machine's address."""
        found: dict[str, int] = {}
        for worker in self._client.scheduler_info(n_workers=-1)["workers"].values():
            found[worker["host"]] = found.get(worker["host"], 0) + worker["nthreads"]
        return found

    def _room(self) -> int:
        """Return how many tasks may be in hand; workers come and go."""
        threads = sum(map(int, self._client.nthreads().values()))
        return max(1, _AHEAD * threads)


@contextmanager
def cluster(scheduler: str | None, scheduler_file: str | None, *, gpu: bool) -> Iterator[Cluster]:
    """Connect to a scheduler.

    Args:
        scheduler: its address, such as ``tcp://10.0.0.1:8786``.
        scheduler_file: the file that it was started with, in place of the address.
        gpu: whether a task needs a worker's resource ``GPU``.

    Raises:
        UsageError: Dask is not installed, the scheduler cannot be reached or has no workers, or a worker has another
            version of geoseg.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--scheduler needs Dask; type: pip install 'geoseg[cluster]'") from None
    where = scheduler or scheduler_file or ""
    try:
        client = Client(scheduler, scheduler_file=scheduler_file, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"--scheduler: {where} cannot be reached ({reason}); is it running there?") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise UsageError(f"--scheduler: {where} has no workers; start some with: dask worker {where}") from None
        _check_versions(client)
        yield Cluster(client, {"GPU": 1.0} if gpu else None)


def _check_versions(client: Any) -> None:
    found = {worker: version for worker, version in client.run(_version).items() if version != geoseg.__version__}
    for worker, version in found.items():
        raise UsageError(
            f"--scheduler: worker {worker} has geoseg {version or 'not installed'}, expected {geoseg.__version__}; "
            "install the same version on all workers"
        )


def _version() -> str:
    return geoseg.__version__


_kept = threading.local()  # a worker may do tasks in several threads; each has models of its own


def _do(task: Task, beside: dict[str, int]) -> Outcome:
    """Do a task on a worker, with its share of the machine's processors."""
    from distributed import get_worker
    from distributed.system import CPU_COUNT

    if not hasattr(_kept, "warm"):
        _kept.warm = Warm()
    threads = max(1, CPU_COUNT // max(1, beside.get(get_worker().ip, 1)))
    outcome: Outcome = perform(task.on_threads(threads), _kept.warm)
    return outcome
