"""Batches whose processes die, are stopped, or meet one another: nothing half-done stays, the rest is done later."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.batch_runs import RASTER, batch, classes, files, out, redone, report_of, tiles, told, untidy  # noqa: F401

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")


class Run:
    """A batch in a process of its own, with whatever processes it starts."""

    def __init__(self, scenes: Path, model: Path, *words: object, faults: dict[str, str] | None = None) -> None:
        self.mark = uuid.uuid4().hex
        environment = {**os.environ, "RUN_OF_TEST": self.mark}
        if faults is not None:
            environment["GEOSEG_FAULTS"] = json.dumps(faults)
            environment["PYTHONPATH"] = str(Path(__file__).parent / "faults")
        words = ("batch", scenes, "--out-dir", scenes.parent / "out", "--model", model, *RASTER, *words)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "geoseg", *map(str, words)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def alive(self) -> list[int]:
        """All processes of the run that are alive."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                is_of_run = f"RUN_OF_TEST={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if is_of_run and state != "Z":
                found.append(int(folder.name))
        return found

    @property
    def workers(self) -> list[int]:
        """Processes of its pool."""
        return [pid for pid in self.alive if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def wait(self, seconds: float = 60) -> tuple[int, str, str]:
        """Return exit code, output and complaints."""
        said, complaints = self.process.communicate(timeout=seconds)
        return self.process.returncode, said, complaints

    def end(self) -> None:
        for pid in self.alive:
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def run(tiles, tiny_model_path):
    """Return a function that starts a batch of the tiles."""
    begun: list[Run] = []

    def start(*words: object, faults: dict[str, str] | None = None) -> Run:
        begun.append(Run(tiles, tiny_model_path, *words, faults=faults))
        return begun[-1]

    yield start
    for one in begun:
        one.end()


def until(condition, seconds: float = 40) -> None:
    last = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < last, "it never came to that"
        time.sleep(0.02)


def interrupt(one: Run) -> None:
    """Do as a terminal does at Ctrl-C: all processes are told."""
    for pid in [one.process.pid, *one.workers]:
        with contextlib.suppress(ProcessLookupError):  # the first may have ended the others
            os.kill(pid, signal.SIGINT)


def begun(out: Path, name: str) -> bool:
    """Return whether the temporary file of a tile's raster is there."""
    place = out / name
    return bool(list(place.parent.glob(f".{place.name}.classes.*.tmp.tif")))


@pytest.mark.parametrize(
    ("number", "jobs"),
    [
        (signal.SIGINT, 1),
        pytest.param(signal.SIGTERM, 1, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow),
        (signal.SIGTERM, 2),
    ],
)
def test_a_signal_ends_a_run_that_can_go_on(run, batch, out, number, jobs):
    one = run("--jobs", jobs, faults={"b": "slow:60"})
    until(lambda: begun(out, "b"))
    if jobs == 2:
        until(lambda: (out / "sub" / "d.geoseg.json").exists() and not list(out.rglob("d.geoseg.lock")))
    done = ["a"] if jobs == 1 else ["a", "sub/c", "sub/d"]
    before = time.monotonic()
    os.kill(one.process.pid, number)
    code, said, complaints = one.wait(5)
    assert time.monotonic() - before < 5
    assert (code, said) == (128 + number, "")
    assert f"stopped by {number.name}; nothing was left half-written" in complaints
    assert "Traceback" not in complaints
    until(lambda: not one.alive, 2)
    assert untidy(out) == []
    report = report_of(out)
    assert report["interrupted"]
    # What was finished at the last moment is not heard of any more, but found to be there.
    assert [name for name, (status, _) in told(out).items() if status in ("done", "kept")] == done
    assert told(out)["b"] == ("left", "was interrupted")
    kept = {name: stamp for name, stamp in files(out).items() if name.split(".")[0] in done}
    assert batch(*RASTER)[0] == 0
    assert redone(out)["b"] == "was interrupted"
    assert sorted(redone(out)) == sorted({"a", "b", "sub/c", "sub/d"} - set(done))
    assert {name: stamp for name, stamp in files(out).items() if name in kept} == kept


@pytest.mark.slow
def test_ctrl_c_reaches_all_processes(run, out):
    one = run("--jobs", "2", faults={"a": "slow:60", "b": "slow:60"})
    until(lambda: begun(out, "a") and begun(out, "b"))
    interrupt(one)
    code, _, complaints = one.wait(5)
    assert code == 130
    assert "Traceback" not in complaints
    until(lambda: not one.alive, 2)
    assert untidy(out) == []


@pytest.mark.slow
def test_ctrl_c_while_processes_begin(run, out):
    one = run("--jobs", "2")
    until(lambda: len(one.workers) == 2)
    interrupt(one)
    code, _, complaints = one.wait(5)
    assert code == 130
    assert "Traceback" not in complaints
    until(lambda: not one.alive, 2)
    assert untidy(out) == []


def test_a_killed_run_goes_on(run, batch, out, tiles):
    one = run(faults={"sub/c": "slow:60"})
    until(lambda: begun(out, "sub/c"))
    one.process.kill()
    assert one.wait()[0] == -9
    assert not (out / "report.json").exists()
    assert untidy(out) != []
    kept = {name: stamp for name, stamp in files(out).items() if name[:2] in ("a.", "b.")}
    assert len(kept) >= 4
    assert batch(*RASTER)[0] == 0
    assert redone(out) == {"sub/c": "was interrupted", "sub/d": "new"}
    assert untidy(out) == []
    assert {name: stamp for name, stamp in files(out).items() if name in kept} == kept
    assert batch(*RASTER, out=tiles.parent / "fresh")[0] == 0
    for fresh in (tiles.parent / "fresh").rglob("*.classes.tif"):
        assert (classes(fresh) == classes(out / fresh.relative_to(tiles.parent / "fresh"))).all()


@pytest.mark.slow
def test_processes_end_with_their_parent(run, batch, out):
    one = run("--jobs", "2", faults={"a": "slow:60", "b": "slow:60"})
    until(lambda: begun(out, "a") and begun(out, "b"))
    one.process.kill()
    until(lambda: not one.alive, 5)
    assert batch(*RASTER, "--jobs", "2")[0] == 0
    assert redone(out) == {"a": "was interrupted", "b": "was interrupted", "sub/c": "new", "sub/d": "new"}
    assert untidy(out) == []


@pytest.mark.slow
def test_a_process_of_the_pool_is_killed(run, out):
    one = run("--jobs", "2", faults={"a": "slow:3", "b": "slow:3"})
    until(lambda: begun(out, "a") and begun(out, "b"))
    os.kill(one.workers[0], signal.SIGKILL)
    code, _, complaints = one.wait()
    assert code == 0, complaints
    assert {status for status, _ in told(out).values()} == {"done"}
    assert untidy(out) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a", "b", "sub/d"])
def test_a_tile_that_kills_is_named(run, out, tiles, name):
    code, _, complaints = run("--jobs", "2", faults={name: "kill"}).wait()
    assert code == 6
    source = tiles / f"{name}.tif"
    sentence = f"{source}: its process was killed while it was done alone; is memory too short, or the file damaged?"
    assert told(out)[name] == ("failed", sentence)
    assert f"geoseg: {sentence}\n" in complaints
    assert (out / f"{name}.geoseg.log").read_text() == f"{sentence}\n"
    assert report_of(out)["done"] == 3
    assert untidy(out) == []


@pytest.mark.slow
@pytest.mark.parametrize("other", ["slow:0.5", "kill"])
def test_a_tile_that_was_done_when_its_process_died_counts_as_done(run, out, other):
    code, _, complaints = run("--jobs", "2", faults={"a": "kill late", "b": other}).wait()
    assert code == (6 if other == "kill" else 0), complaints
    statuses = [status for status, _ in told(out).values()]
    assert statuses == ["done", "failed" if other == "kill" else "done", "done", "done"]
    assert report_of(out)["kept"] == 0
    assert untidy(out) == []


@pytest.mark.slow
def test_a_tile_whose_process_dies_late_each_time_counts_as_done(run, out):
    assert run(faults={"a": "kill"}).wait()[0] == 137
    code, _, complaints = run(faults={"a": "kill late"}).wait()  # done alone this time
    assert code == 0, complaints
    assert [status for status, _ in told(out).values()] == ["done"] * 4
    assert report_of(out)["kept"] == 0
    assert untidy(out) == []


@pytest.mark.slow
def test_a_tile_that_kills_the_only_process_is_named_in_the_next_run(run, out, tiles):
    assert run(faults={"b": "kill"}).wait()[0] == 137
    code, _, _ = run(faults={"b": "kill"}).wait()
    assert code == 6
    assert told(out)["b"][1].startswith(f"{tiles / 'b.tif'}: its process was killed while it was done alone")
    assert [status for status, _ in told(out).values()] == ["kept", "failed", "done", "done"]
    assert untidy(out) == []


def test_two_runs_at_once_do_nothing_twice(run, out):
    both = [run("--json", faults={"a": "slow:1.5", "b": "slow:0.5"}) for _ in range(2)]
    reports = []
    for one in both:
        code, said, complaints = one.wait()
        assert code == 0, complaints
        reports.append(json.loads(said))
    assert sum(report["done"] for report in reports) == 4
    assert sum(report["kept"] for report in reports) == 4
    assert untidy(out) == []
    assert report_of(out)["inputs"] == 4
