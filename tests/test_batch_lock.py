"""Locks of a batch: one holder at a time, whatever ends it, and no file that stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from geoseg.batch.lock import alone_with, remove_unheld
from geoseg.errors import OutputError

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and links of POSIX")

COUNT = """
import sys
from pathlib import Path
from geoseg.batch.lock import alone_with
lock, count = map(Path, sys.argv[1:])
for _ in range(60):
    with alone_with(lock):
        count.write_text(str(int(count.read_text()) + 1))
"""


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("geoseg.batch.lock._WAIT_S", 0.001)


def test_processes_take_turns(tmp_path):
    count = tmp_path / "count"
    count.write_text("0")
    code = COUNT.replace("lock, count =", "import geoseg.batch.lock as own; own._WAIT_S = 0.001\nlock, count =")
    words = [sys.executable, "-c", code, str(tmp_path / "a.lock"), str(count)]
    running = [subprocess.Popen(words) for _ in range(3)]
    assert [one.wait(60) for one in running] == [0, 0, 0]
    assert count.read_text() == "180"
    assert list(tmp_path.iterdir()) == [count]


def test_threads_take_turns(tmp_path, impatient):
    inside, most, failures = 0, 0, []

    def enter() -> None:
        nonlocal inside, most
        try:
            for _ in range(40):
                with alone_with(tmp_path / "a.lock"):
                    inside += 1
                    most = max(most, inside)
                    time.sleep(0)
                    inside -= 1
        except Exception as error:  # noqa: BLE001 - told by the test itself
            failures.append(error)

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, most, inside) == ([], 1, 0)
    assert list(tmp_path.iterdir()) == []


def test_other_locks_do_not_wait(tmp_path):
    with alone_with(tmp_path / "a.lock"), alone_with(tmp_path / "b.lock"):
        assert len(list(tmp_path.iterdir())) == 2


def test_an_error_inside_gives_the_lock_up(tmp_path):
    with pytest.raises(ZeroDivisionError), alone_with(tmp_path / "a.lock"):
        raise ZeroDivisionError
    with alone_with(tmp_path / "a.lock"):
        pass


def test_a_file_that_is_removed_meanwhile_is_made_again(tmp_path):
    path = tmp_path / "a.lock"
    with alone_with(path):
        path.unlink()
        with alone_with(path):  # nobody holds the new file
            assert path.exists()


@posix
def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "a.lock"
    code = (
        "import sys, time, pathlib\nfrom geoseg.batch.lock import alone_with\n"
        "with alone_with(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    remove_unheld(path)
    assert path.exists()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert path.exists()
    began = time.monotonic()
    with alone_with(path):
        assert time.monotonic() - began < 1
    assert not path.exists()
    path.touch()
    remove_unheld(path)
    assert not path.exists()
    remove_unheld(path)


def test_without_locks_nothing_is_waited_for(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def flock(_handle, _kind):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with alone_with(tmp_path / "a.lock"), alone_with(tmp_path / "a.lock"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_it_is_taken_leaves_no_handle(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def flock(_handle, _kind):
        raise KeyboardInterrupt

    path = tmp_path / "a.lock"
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", flock)
        with pytest.raises(KeyboardInterrupt), alone_with(path):
            pass
    with alone_with(path):
        pass
    assert not path.exists()


@posix
def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "a.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"a\.lock: cannot be made"), alone_with(tmp_path / "a.lock"):
        pass
    assert not os.path.lexists(tmp_path / "elsewhere")


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "folder").write_text("")
    with pytest.raises(OutputError, match="so nothing can be written beside it"), alone_with(
        tmp_path / "folder" / "a.lock"
    ):  # fmt: skip
        pass


def test_a_file_that_is_removed_between_opening_and_locking(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    path, usual, times = tmp_path / "a.lock", fcntl.flock, []

    def flock(handle, kind):
        if not times:
            path.unlink()
        times.append(handle)
        usual(handle, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr("geoseg.batch.lock._WAIT_S", 0)
    with alone_with(path):
        assert path.exists()
    assert len(times) == 2


def test_where_open_files_cannot_be_removed(tmp_path, monkeypatch):
    """The ways of Windows, acted out: another kind of lock, and a file that goes after it is closed."""
    locked: set[tuple[int, int]] = set()

    def locking(handle, _mode, _bytes):
        status = os.fstat(handle)
        if (file := (status.st_dev, status.st_ino)) in locked:
            raise OSError(13, "Permission denied")
        locked.add(file)

    msvcrt = types.ModuleType("msvcrt")
    msvcrt.locking, msvcrt.LK_NBLCK = locking, 2
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    monkeypatch.setattr("geoseg.batch.lock._IS_WINDOWS", True)
    path = tmp_path / "a.lock"
    with alone_with(path):
        remove_unheld(path)
        assert path.exists()
    assert not path.exists()
    usual, refusals = os.open, [PermissionError(13, "is being removed")]
    path.touch()

    def refusing(*given):
        if refusals:
            raise refusals.pop()
        return usual(*given)

    monkeypatch.setattr(os, "open", refusing)
    monkeypatch.setattr("geoseg.batch.lock._WAIT_S", 0)
    locked.clear()
    with alone_with(path):
        pass
    assert not path.exists()
