"""Signals that ask a run to stop come at the worst moments: the run ends all the same, tidies up, and says so."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

PROBE = """
import os, signal, sys, time, types
import click
from geoseg.cli.main import VERBS, main

def stop(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.001)  # it is heard before this ends

@click.command("probe")
def command():
    try:
{body}
    finally:
        print("tidied", flush=True)

VERBS["probe"] = "Fare badly."
sys.modules["geoseg.cli.probe"] = types.SimpleNamespace(command=command)
main(["probe"])
"""


def program(body: str) -> list[str]:
    """Return the command of a program whose only verb does what is told."""
    return [sys.executable, "-c", PROBE.format(body=textwrap.indent(textwrap.dedent(body), " " * 8))]


def ran(body: str, **more) -> tuple[int, str, str]:
    """Run such a program; return exit code, output and complaints."""
    done = subprocess.run(program(body), capture_output=True, text=True, timeout=20, check=False, **more)
    return done.returncode, done.stdout, done.stderr


STOPPED = (130, "tidied\n", "geoseg: stopped by SIGINT; nothing was left half-written\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_tidy_up_and_end_with_128_and_their_number(number, code):
    waiting = program("print('ready', flush=True)\ntime.sleep(60)")
    with subprocess.Popen(waiting, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        said, complaint = process.communicate(timeout=20)
    assert said == "tidied\n"
    assert complaint == f"geoseg: stopped by {number.name}; nothing was left half-written\n"
    assert process.returncode == code


def test_one_that_a_finalizer_drops_comes_again():
    assert (
        ran("""
        class Last:
            def __del__(self):
                stop()
        Last()
        time.sleep(60)
    """)
        == STOPPED
    )


def test_one_that_finalizers_drop_again_and_again_ends_the_run_at_last():
    assert (
        ran("""
        import threading
        class Last:
            def __del__(self):
                time.sleep(0.01)
        threading.Timer(0.2, stop).start()
        end = time.monotonic() + 15
        while time.monotonic() < end:
            Last()
            time.sleep(0.03)
        os._exit(0)
    """)
        == STOPPED
    )


def test_what_is_being_imported_is_imported_whole(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.5)\nprint('whole', flush=True)\n"
    )
    code, said, complaint = ran(
        """
        sys.path.insert(0, ".")
        import slow
        time.sleep(60)
    """,
        cwd=tmp_path,
    )
    assert (code, said, complaint) == (130, "whole\ntidied\n", STOPPED[2])


def test_an_import_that_does_not_end_is_left(tmp_path):
    (tmp_path / "endless.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    )
    before = time.monotonic()
    assert ran("sys.path.insert(0, '.')\nimport endless", cwd=tmp_path) == STOPPED
    assert 2.5 < time.monotonic() - before < 10


@pytest.mark.parametrize("kind", ["json", "bar", "none"])
def test_one_that_a_library_catches_comes_again_with_the_next_step(kind):
    code, said, complaint = ran(f"""
        from geoseg.cli.progress import progress_on
        with progress_on("{kind}", "segment", "window") as meter:
            try:
                stop()
            except BaseException:
                print("caught", flush=True)
            meter.at(1, 2)
            time.sleep(60)
    """)
    assert (code, said) == (130, "caught\ntidied\n")
    assert complaint.endswith(STOPPED[2])


@pytest.mark.parametrize("error", ["geoseg.errors.OutputError('no room')", "ValueError('half a file')"])
def test_what_goes_wrong_of_it_is_no_other_error(error):
    assert (
        ran(f"""
        import geoseg.errors
        try:
            stop()
        except BaseException:
            raise {error} from None
    """)
        == STOPPED
    )


def test_a_second_signal_ends_the_process_at_once():
    code, said, complaint = ran("""
        try:
            stop()
        finally:
            stop()
    """)
    assert (code, said, complaint) == (-signal.SIGINT, "", "")


def test_another_signal_does_not_disturb_the_tidying():
    assert (
        ran("""
        try:
            stop()
        finally:
            stop(signal.SIGTERM)
            time.sleep(0.1)
    """)
        == STOPPED
    )


def test_files_of_a_generator_in_a_ring_of_references_are_removed_too():
    code, said, complaint = ran("""
        def parts():
            try:
                yield
            finally:
                print("removed", flush=True)
        ring = [parts()]
        next(ring[0])
        ring.append(ring)
        stop()
    """)
    assert (code, said, complaint) == (130, "tidied\nremoved\n", STOPPED[2])


def test_a_run_that_is_done_ends_as_one():
    assert ran("import atexit\natexit.register(stop)\n") == (0, "tidied\n", "")


def test_a_second_signal_ends_a_run_that_is_done_and_does_not_end():
    before = time.monotonic()
    code, said, _ = ran("""
        import threading
        def later():
            time.sleep(0.5)
            stop()
            time.sleep(0.2)
            stop(signal.SIGTERM)
            time.sleep(0.2)
            stop(signal.SIGTERM)
            time.sleep(15)
        threading.Thread(target=later).start()
    """)
    assert (code, said) == (-signal.SIGTERM, "tidied\n")
    assert time.monotonic() - before < 10


def test_a_second_signal_of_another_kind_ends_a_tidying_that_hangs():
    code, said, _ = ran("""
        try:
            stop(signal.SIGTERM)
        finally:
            for _ in range(2):
                time.sleep(0.2)
                stop()
            time.sleep(15)
    """)
    assert (code, said) == (-signal.SIGINT, "")


def test_a_program_that_calls_the_command_line_hears_signals_afterwards():
    told = """
import signal, time, os
from geoseg.cli.main import main
signal.signal(signal.SIGINT, lambda *_: print("heard", flush=True))
for _ in range(2):
    try:
        main(["--version"])
    except SystemExit as left:
        assert not left.code
for _ in range(2):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)
"""
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "heard", "")


def test_what_a_defect_of_it_holds_is_tidied_too():
    code, said, complaint = ran("""
        def parts():
            try:
                yield
            finally:
                print("removed", flush=True)
        held = parts()
        next(held)
        try:
            stop()
        except BaseException:
            raise ValueError("half a file") from None
    """)
    assert (code, said, complaint) == (130, "tidied\nremoved\n", STOPPED[2])
