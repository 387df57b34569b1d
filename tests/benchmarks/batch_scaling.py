"""Processes on this machine, and workers on paper: ``python -m tests.benchmarks.batch_scaling [--tiles N]``.

First, the same tiles in turn by one process of one thread, by one process of all threads, and by two processes of one
thread each; medians of the rounds and their ratios. Then what Dask and our bookkeeping cost for each task: tasks that
fail at once go through a scheduler and two workers. From that, a simulation of up to a thousand workers that get
their tasks one after the other from one scheduler, each with two in hand.
"""

from __future__ import annotations

import argparse
import heapq
import pickle
import statistics
import tempfile
import time
from pathlib import Path

import rasterio
from affine import Affine

from geoseg.batch.cluster import Cluster
from geoseg.batch.request import BatchRequest, How, Wanted, Where
from geoseg.batch.run import batch
from geoseg.batch.scenes import scene_tasks
from geoseg.batch.sources.inputs import Input, gather_inputs
from geoseg.demo.render import render
from geoseg.inference.network import RunsOn
from geoseg.model.file import load_card
from geoseg.vocabulary import Window

_FIRST = 6  # tiles that are done while processes start and networks are compiled
WORKERS = (1, 10, 100, 300, 1000)
SECONDS = (1, 5, 20, 60)


def write_tiles(folder: Path, count: int, size: int) -> None:
    """Write copies of a made-up scene side by side."""
    pixels, _ = render(4, Window(0, 0, size, size))
    profile = {"driver": "GTiff", "count": 3, "height": size, "width": size, "dtype": "uint8", "crs": "EPSG:32640"}
    for number in range(count):
        transform = Affine(1, 0, 330_000 + size * number, 0, -1, 2_780_000)
        with rasterio.open(folder / f"{number:05d}.tif", "w", **profile, transform=transform) as file:
            file.write(pixels)


def local(root: Path, rounds: int) -> None:
    """Print what processes and threads bring on this machine."""
    inputs = tuple(gather_inputs([str(root / "tiles")]))
    ways = {"1 process, 1 thread": (1, 1), "1 process, all threads": (1, None), "2 processes, 1 thread each": (2, 1)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, (jobs, threads) in ways.items():
            how = How(runs_on=RunsOn(threads=threads))
            out = root / f"{number} {jobs} {threads}"
            report = batch(BatchRequest(inputs, out, how=how, where=Where(jobs=jobs)))
            assert report.counts()["done"] == len(inputs)
            done = sorted(path.stat().st_mtime_ns for path in out.glob("*.gpkg"))
            seconds[name].append((done[-1] - done[_FIRST]) / 1e9 / (len(done) - 1 - _FIRST))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    first = medians["1 process, 1 thread"]
    for name, median in medians.items():
        print(f"{name}: {median:.2f} s a tile, {first / median:.2f} times as fast as the first")
    print(f"2 processes / 1 process with all threads: {medians['1 process, all threads'] / median:.2f}")


def overhead(root: Path, count: int) -> float:
    """Print and return what a task costs scheduler and client, in seconds."""
    from distributed import Client, LocalCluster

    (root / "gone").mkdir()
    inputs = tuple(Input(str(root / "nowhere.tif"), str(number)) for number in range(count + 20))
    request = BatchRequest(inputs, root / "gone", wanted=Wanted(), how=How())
    first, *tasks = scene_tasks(request, load_card("default"))
    print(f"a task travels as {len(pickle.dumps(first))} bytes")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as machines,
        Client(machines) as client,
    ):
        connected = Cluster(client, "this machine", None)
        list(connected.run([first, *tasks[:19]]))
        began, used = time.perf_counter(), time.process_time()
        assert len(list(connected.run(tasks[19:]))) == count
        wall, client_s = time.perf_counter() - began, time.process_time() - used
    print(
        f"{count} tasks that fail at once: {1e3 * wall / count:.2f} ms each, wall, with two workers; ",
        end="",
    )
    print(f"{1e3 * client_s / count:.2f} ms of it in client and scheduler")
    return client_s / count


def simulated(workers: int, task_s: float, give_s: float, tasks: int) -> float:
    """Return the seconds that tasks take with workers that one scheduler serves in turn, two tasks in hand each."""
    free_at = 0.0  # the scheduler
    in_hand = [(0.0, i % workers) for i in range(min(tasks, 2 * workers))]
    busy_until = [0.0] * workers
    left = tasks - len(in_hand)
    ends: list[tuple[float, int]] = []
    for _, worker in in_hand:
        free_at += give_s
        busy_until[worker] = max(busy_until[worker], free_at) + task_s
        heapq.heappush(ends, (busy_until[worker], worker))
    now = 0.0
    while ends:
        now, worker = heapq.heappop(ends)
        free_at = max(free_at, now) + give_s
        if left:
            left -= 1
            busy_until[worker] = max(busy_until[worker], free_at) + task_s
            heapq.heappush(ends, (busy_until[worker], worker))
    return now


def main() -> None:
    """Measure, then simulate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=26)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tasks", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "tiles").mkdir()
        write_tiles(root / "tiles", given.tiles, given.size)
        if given.rounds:
            local(root, given.rounds)
        give_s = overhead(root, given.tasks)
    print("| seconds a task | " + " | ".join(f"{count} workers" for count in WORKERS) + " |")
    print("|---" * (1 + len(WORKERS)) + "|")
    for task_s in SECONDS:
        shares = []
        for workers in WORKERS:
            tasks = 50 * workers
            shares.append(tasks * task_s / workers / simulated(workers, task_s, give_s, tasks))
        print(f"| {task_s} | " + " | ".join(f"{100 * share:.0f} %" for share in shares) + " |")


if __name__ == "__main__":
    main()
