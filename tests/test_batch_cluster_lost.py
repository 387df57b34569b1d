"""Batches on a real scheduler and real workers, of which some are killed: nothing is lost, nothing is done twice."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")]

DASK = [sys.executable, "-m", "dask"]
TILES = 40
PATIENCE_S = 120  # a busy machine is slow, not wrong


def until(found, seconds=PATIENCE_S, beat=0.05):
    """Wait until something is found, and return it."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(beat)
    return answer


def children_of(pid):
    """Return processes by the lists of the system, as their parents may be gone before they are."""
    words = ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return {int(row[0]): row[2] for row in rows if int(row[1]) == pid and len(row) == 3}


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


class Farm:
    """A scheduler and workers on loopback, started from the command line."""

    def __init__(self, folder, model, tiles):
        self.folder, self.model, self.tiles = folder, model, tiles
        self.out, self.log, self.file = folder / "out", folder / "done.log", folder / "scheduler.json"
        self.started, self.seen, self.logs = [], set(), {}

    def start(self, name, *words, **environment):
        path = self.folder / f"{name}.log"
        settings = {
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent)]),
            "OMP_NUM_THREADS": "1",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s",
        }
        with path.open("wb") as log:
            process = subprocess.Popen(
                [*map(str, words)], stdout=log, stderr=log, cwd=self.folder, env=os.environ | settings | environment
            )
        self.started.append(process)
        self.logs[name] = path
        return process

    def scheduler(self, name="scheduler"):
        self.file.unlink(missing_ok=True)
        words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", self.file]
        process = self.start(name, *DASK, *words)
        until(lambda: self.file.exists() and self.file.stat().st_size)
        return process

    def worker(self, name, seconds=0.25, deadly=(), nthreads=1):
        words = ["worker", "--scheduler-file", self.file, "--host", "127.0.0.1", "--nthreads", nthreads, "--name", name]
        words += ["--no-dashboard", "--memory-limit", "2GB", "--local-directory", self.folder / f"{name}.space"]
        faults = {"log": str(self.log), "seconds": seconds, "deadly": list(deadly)}
        return self.start(name, *DASK, *words, "--preload", "cluster_faults", GEOSEG_FAULTS=json.dumps(faults))

    def workers(self, **options):
        """Start two workers, and return their nannies once both are ready for work."""
        made = [self.worker(name, **options) for name in ("one", "two")]
        until(lambda: all("Registered to" in self.logs[name].read_text() for name in ("one", "two")))
        return made

    def hand(self, nanny):
        """Return the process that a nanny watches over."""
        (found,) = [pid for pid, args in children_of(nanny.pid).items() if "spawn_main" in args]
        self.seen.add(found)
        return found

    def batch(self, name="client"):
        words = [sys.executable, "-m", "geoseg", "batch", self.tiles, "--out-dir", self.out, "--to", "none", "--raster"]
        words += ["--model", self.model, "--device", "cpu", "--scheduler-file", self.file, "--json"]
        return self.start(name, *words, "--progress", "json")

    def ended(self, process, name="client", seconds=PATIENCE_S):
        """Return the exit code and the report of a batch, and what else it said."""
        code = process.wait(seconds)
        lines = self.logs[name].read_text().splitlines()
        assert not any("Traceback" in line for line in lines), "\n".join(lines)
        said = [line for line in lines if line.startswith(("geoseg: ", '{"event": "message"'))]
        report = json.loads(next(line for line in reversed(lines) if line.startswith('{"schema"')))
        return code, report, "\n".join(said)

    def times(self, event="end"):
        """Return how often each tile was begun or ended."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return Counter(line.split()[1] for line in lines if line.startswith(f"{event} "))

    def wait_for(self, number):
        """Wait until so many tiles are done."""
        until(lambda: len(self.times()) >= number)

    def wait_in_a_tile(self, pid):
        """Wait until a process has just begun a tile: what it is at is neither done nor nearly so."""
        before = self.log.read_text().count(f" {pid}\n")
        until(lambda: "begin t" in self.lines_of(pid)[-1] and len(self.lines_of(pid)) > before, beat=0.01)

    def lines_of(self, pid):
        return [line for line in self.log.read_text().splitlines() if line.endswith(f" {pid}")] or [""]

    def finished(self):
        """Return the tiles that count as done."""
        told = {path: json.loads(path.read_text()) for path in self.out.glob("*.geoseg.json")}
        return {path.name.split(".")[0] for path, said in told.items() if said["state"] == "done"}

    def stamps(self):
        return {path.name: path.stat().st_mtime_ns for path in self.out.glob("*.tif")}

    def stop(self):
        """End everything that was started, and return what outlives it."""
        for process in self.started:
            self.seen |= set(children_of(process.pid))
        for process in reversed(self.started):
            process.kill()
            process.wait()
        for pid in filter(is_alive, self.seen):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 15
        while any(map(is_alive, self.seen)) and time.monotonic() < end:
            time.sleep(0.1)
        return list(filter(is_alive, self.seen))


@pytest.fixture
def farm(tmp_path, tiny_model_path, write_scene):
    tiles = tmp_path / "tiles"
    tiles.mkdir()
    random = np.random.default_rng(0)
    for number in range(TILES):
        write_scene(tiles / f"t{number:02d}.tif", random.integers(0, 256, (3, 32, 32)).astype(np.uint8))
    made = Farm(tmp_path, tiny_model_path, tiles)
    yield made
    assert made.stop() == []


def whole(farm, report, *, done=True, cut_off=frozenset()):
    """Check that all tiles are there, that no tile was finished twice, and that nothing else lies there.

    A tile whose worker died between its end and the word of it is asked for again, and found to be there. Tiles that
    were cut off between their result and its manifest may be made again.
    """
    assert report["done"] + report["kept"] == TILES
    assert bool(report["done"]) is done
    assert report["outside"] == report["failed"] == report["left"] == 0
    assert {path.name for path in farm.out.glob("*.tif")} == {f"t{i:02d}.classes.tif" for i in range(TILES)}
    times = farm.times()
    assert len(cut_off) <= 2
    assert {name: times[name] for name in times if name not in cut_off} == {
        f"t{i:02d}": 1 for i in range(TILES) if f"t{i:02d}" not in cut_off
    }
    assert list(farm.out.glob("*.lock")) == list(farm.out.glob("*.log")) == []


def test_a_worker_is_killed(farm):
    farm.scheduler()
    one, _two = farm.workers()
    client = farm.batch()
    farm.wait_for(8)
    hand = farm.hand(one)
    farm.wait_in_a_tile(hand)
    os.kill(hand, signal.SIGKILL)
    code, report, _ = farm.ended(client)
    assert code == 0
    whole(farm, report)
    assert sum(farm.times("begin").values()) <= TILES + 1  # the one that it was at
    until(lambda: farm.logs["one"].read_text().count("Registered to") == 2)  # its nanny has another


def test_a_worker_and_its_nanny_are_killed(farm):
    farm.scheduler()
    one, _two = farm.workers()
    client = farm.batch()
    farm.wait_for(8)
    hand = farm.hand(one)
    farm.wait_in_a_tile(hand)
    one.kill()
    os.kill(hand, signal.SIGKILL)
    code, report, _ = farm.ended(client)
    assert code == 0
    whole(farm, report)
    assert sum(farm.times("begin").values()) <= TILES + 1


def test_the_client_is_killed(farm):
    farm.scheduler()
    farm.workers()
    client = farm.batch()
    farm.wait_for(8)
    client.kill()
    client.wait()
    before = farm.stamps()
    assert 8 <= len(before) < TILES
    code, report, _ = farm.ended(farm.batch("second"), "second")
    assert code == 0
    assert report["kept"] >= len(before)
    whole(farm, report)
    assert sum(farm.times("begin").values()) == TILES
    after = farm.stamps()
    assert {name: after[name] for name in before} == before
    code, report, _ = farm.ended(farm.batch("third"), "third")
    assert code == 0
    whole(farm, report, done=False)
    assert farm.stamps() == after


def test_a_tile_that_kills_its_workers_is_found(farm):
    farm.scheduler()
    farm.workers(deadly=["t05"], seconds=0.05)
    code, report, said = farm.ended(farm.batch(), seconds=2 * PATIENCE_S)
    assert code == 6
    assert (report["done"] + report["kept"], report["failed"], report["left"]) == (TILES - 1, 1, 0)
    (bad,) = [scene for scene in report["scenes"] if scene["status"] == "failed"]
    assert bad["name"] == "t05"
    assert "every worker that took it died, also when it was done alone" in bad["why"]
    assert "t05.tif" in said
    assert farm.times() == Counter({f"t{i:02d}": 1 for i in range(TILES) if i != 5})
    assert farm.times("begin")["t05"] >= 4
    assert (farm.out / "t05.geoseg.log").read_text().startswith(bad["why"])


def test_the_scheduler_is_killed(farm):
    scheduler = farm.scheduler()
    nannies = farm.workers()
    client = farm.batch()
    farm.wait_for(8)
    scheduler.kill()
    began = time.monotonic()
    code, report, said = farm.ended(client)
    assert time.monotonic() - began < 30
    assert code == 6
    assert report["left"] > 0
    assert report["failed"] == 0
    assert len(re.findall("was lost before everything was done; give the same command again", said)) == 1
    for nanny in nannies:
        nanny.terminate()
        nanny.wait(30)
    finished, before = farm.finished(), farm.stamps()
    farm.scheduler("scheduler2")
    farm.workers()
    code, report, _ = farm.ended(farm.batch("second"), "second")
    assert code == 0
    whole(farm, report, cut_off={path.split(".")[0] for path in before} - finished)
    assert report["kept"] == len(finished) >= 8
    after = farm.stamps()
    assert all(after[f"{name}.classes.tif"] == before[f"{name}.classes.tif"] for name in finished)
