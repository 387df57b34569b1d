"""The part of the QGIS plugin that starts geoseg, with real child processes and without QGIS."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from geoseg.layers.temporary import is_alive, temporary_beside
from geoseg.model.foreign.refusals import OPENED
from geoseg.qgis.plugin.geoseg_qgis import runner
from geoseg.qgis.plugin.geoseg_qgis.command_line import as_operand, typed
from geoseg.qgis.plugin.geoseg_qgis.environment import clean_environment, own_environment
from geoseg.qgis.plugin.geoseg_qgis.executable import ExecutableError, checked_version, find_command
from geoseg.qgis.plugin.geoseg_qgis.leftovers import remove_leftovers
from geoseg.qgis.plugin.geoseg_qgis.one_bar import OneBar

PLUGIN = Path(runner.__file__).parent

on_posix = pytest.mark.skipif(os.name != "posix", reason="signals of groups are POSIX's")


class Listener:
    """Stands for QGIS: writes down what it is told, and says stop when a file appears."""

    def __init__(self, stop_when: Path | None = None):
        self.percents, self.infos, self.warnings, self.console = [], [], [], []
        self.stop_when = stop_when

    # QGIS's own names.
    def setProgress(self, percent):
        self.percents.append(percent)

    def pushInfo(self, text):
        self.infos.append(text)

    def pushWarning(self, text):
        self.warnings.append(text)

    def pushConsoleInfo(self, text):
        self.console.append(text)

    def isCanceled(self):
        return self.stop_when is not None and self.stop_when.exists()


def run(code: str, listener: Listener, *arguments, **more) -> dict:
    command = [sys.executable, "-c", "import json, os, signal, subprocess, sys, time\n" + code, *map(str, arguments)]
    return runner.run(command, listener, own_environment(), **more)


def gone(pid_file: Path) -> bool:
    """Tell whether a process has ended, given a moment to do so."""
    pid = int(pid_file.read_text())
    for _ in range(100):
        if not is_alive(pid):
            return True
        time.sleep(0.05)
    return False


TELL = "def tell(**event): print(json.dumps(event), file=sys.stderr, flush=True)\n"


def test_progress_messages_and_the_report_arrive():
    code = TELL + (
        "tell(event='progress', stage='look', done=1, total=2)\n"
        "tell(event='message', level='warning', text='far from home')\n"
        "tell(event='progress', stage='look', done=2, total=2)\n"
        "tell(event='progress', stage='segment', done=0, total=4)\n"
        "tell(event='progress', stage='segment', done=2, total=4)\n"
        "tell(event='message', level='info', text='buildings: 3 polygons, 1 m²')\n"
        "print('a library speaks', file=sys.stderr)\n"
        "print(json.dumps({'schema': 1, 'name': 'größer'}))\n"
    )
    listener = Listener()
    assert run(code, listener, shares={"look": (0, 10), "segment": (10, 90)}) == {"schema": 1, "name": "größer"}
    assert listener.percents == [5, 10, 10, 50, 100]
    assert (listener.warnings, listener.console) == (["far from home"], ["a library speaks"])
    assert listener.infos == ["buildings: 3 polygons, 1 m²"]


def test_the_bar_never_runs_backwards():
    bar = OneBar({"segment": (0, 80), "join": (80, 99)})
    steps = [
        ("segment", 3, 4),
        ("segment", 1, 4),
        ("unheard of", 1, 2),
        ("unheard of", 2, 2),
        ("join", 0, 1),
        ("join", 9, 1),
    ]
    shown = [bar.at(*step) for step in steps]
    assert shown == sorted(shown) == [60, 60, 79.5, 99, 99, 99]
    assert bar.at("segment", 1, 0) == 99


def test_a_child_that_prints_megabytes_is_heard_to_the_end():
    code = "for i in range(30000): print('x' * 100, file=sys.stderr)\nprint(json.dumps({'long': 'y' * 3_000_000}))\n"
    listener = Listener()
    assert len(run(code, listener)["long"]) == 3_000_000
    assert len(listener.console) == 30000


@pytest.mark.parametrize(
    ("code", "exit_code", "sentence"),
    [
        (
            "print('geoseg: x.tif: does not exist; check the path', file=sys.stderr)\nsys.exit(3)",
            3,
            "x.tif: does not exist;",
        ),
        (
            "print('Usage: geoseg\\n\\nError: No such option: --x', file=sys.stderr)\nsys.exit(2)",
            2,
            "No such option: --x",
        ),
        ("raise RuntimeError('out of luck')", 1, "RuntimeError: out of luck"),
        ("sys.exit(0)", 0, "without a result"),
        ("os._exit(9)", 9, "exit code 9"),
    ],
)
def test_the_childs_own_sentence_is_the_error(code, exit_code, sentence):
    with pytest.raises(runner.GeosegFailed) as failed:
        run(code, Listener())
    assert sentence in str(failed.value)
    assert failed.value.exit_code == exit_code


@on_posix
def test_a_child_that_is_killed_is_told_so():
    with pytest.raises(runner.GeosegFailed, match="signal 9"):
        run("os.kill(os.getpid(), 9)", Listener())


def test_what_a_failed_batch_printed_is_kept():
    code = "print(json.dumps({'failed': 1}))\nprint('geoseg: 1 of 2 scenes failed', file=sys.stderr)\nsys.exit(6)\n"
    with pytest.raises(runner.GeosegFailed) as failed:
        run(code, Listener())
    assert failed.value.report == {"failed": 1}


def test_a_program_that_cannot_be_started_is_named(tmp_path):
    with pytest.raises(runner.GeosegFailed, match="nothing-here: cannot be started"):
        runner.run([str(tmp_path / "nothing-here")], Listener(), own_environment())


# A child with a child of its own; both tell their numbers.
FAMILY = (
    "child = subprocess.Popen([sys.executable, '-c', sys.argv[3]])\n"
    "open(sys.argv[1], 'w').write(str(child.pid))\n"
    "open(sys.argv[2], 'w').write(str(os.getpid()))\n"
)


@on_posix
def test_cancelling_asks_the_whole_group_and_it_can_tidy_up(tmp_path):
    grandchild, child, left = tmp_path / "grandchild", tmp_path / "child", tmp_path / "half-written"
    # A run in the background of a shell has Ctrl-C ignored, and hands that on; geoseg listens all the same.
    code = (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        + FAMILY
        + (
            "try:\n    open(sys.argv[4], 'w').close()\n    time.sleep(60)\n"
            "except KeyboardInterrupt:\n    os.remove(sys.argv[4])\n    sys.exit(130)\n"
        )
    )
    with pytest.raises(runner.Stopped):
        run(code, Listener(left), grandchild, child, "import time; time.sleep(60)", left)
    assert not left.exists()
    assert gone(child)
    assert gone(grandchild)


@on_posix
def test_a_child_that_did_not_hear_is_asked_again_in_another_way(tmp_path):
    ready, left = tmp_path / "ready", tmp_path / "half-written"
    code = (
        "signal.signal(signal.SIGINT, lambda *_: None)\n"  # as a Python does that has only begun
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(os.remove(sys.argv[2])))\n"
        "open(sys.argv[2], 'w').close()\nopen(sys.argv[1], 'w').close()\ntime.sleep(60)\n"
    )
    with pytest.raises(runner.Stopped):
        run(code, Listener(ready), ready, left)
    assert not left.exists()


@on_posix
def test_a_child_that_does_not_listen_is_ended_with_all_its_own(tmp_path):
    grandchild, child = tmp_path / "grandchild", tmp_path / "child"
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    code = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + FAMILY + "time.sleep(60)\n"
    with pytest.raises(runner.Stopped):
        run(code, Listener(child), grandchild, child, deaf, grace_s=0.3)
    assert gone(child)
    assert gone(grandchild)


@on_posix
def test_a_child_that_leaves_another_behind_does_not_hang_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_HELD_OPEN_S", 0.2)
    grandchild, child = tmp_path / "grandchild", tmp_path / "child"
    code = FAMILY + "print('{\"schema\": 1}', flush=True)\n"
    assert run(code, Listener(), grandchild, child, "import time; time.sleep(60)") == {"schema": 1}
    assert gone(grandchild)


@on_posix
def test_nothing_is_left_when_qgis_itself_fails_in_between(tmp_path):
    class Broken(Listener):
        def pushConsoleInfo(self, text):
            raise RuntimeError("wrapped C++ object has been deleted")

    grandchild, child, before = tmp_path / "grandchild", tmp_path / "child", threading.active_count()
    code = FAMILY + "while True: print('x' * 1000, file=sys.stderr)\n"
    with pytest.raises(RuntimeError, match="deleted"):
        run(code, Broken(), grandchild, child, "import time; time.sleep(60)")
    assert gone(child)
    assert gone(grandchild)
    assert threading.active_count() == before


def test_a_run_that_ended_before_it_heard_of_the_stop_is_a_result(tmp_path):
    stop = tmp_path / "stop"
    code = "signal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('{\"schema\": 1}', flush=True)\n"
    code += "open(sys.argv[1], 'w').close()\n"
    assert run(code, Listener(stop), stop) == {"schema": 1}


def test_what_a_run_ended_by_force_left_half_written_is_removed(tmp_path):
    out, began = tmp_path / "map.gpkg", time.time() - 2
    mine = temporary_beside(out)
    company = [mine, mine.with_name(f"{mine.name}-journal")]
    older, others = temporary_beside(out), [temporary_beside(tmp_path / "map2.gpkg"), tmp_path / ".map.tmp.gpkg", out]
    for path in (*company, older, *others):
        path.touch()
    os.utime(older, (began - 60, began - 60))
    remove_leftovers([str(out), str(tmp_path / "nowhere" / "x.tif")], began)
    assert sorted(tmp_path.iterdir()) == sorted([older, *others])


# ---- the environment


def test_what_qgis_tells_its_own_python_and_gdal_is_left_out():
    given = {
        "PYTHONHOME": "/opt/qgis", "PYTHONPATH": "/x", "GDAL_DATA": "/x", "PROJ_LIB": "/x", "LD_LIBRARY_PATH": "/x",
        "QGIS_PREFIX_PATH": "/usr", "__PYVENV_LAUNCHER__": "/x",
        "HOME": "/home/me", "PATH": "/usr/bin:/bin", "LANG": "de",
    }  # fmt: skip
    assert clean_environment(given, "linux") == {
        "HOME": "/home/me", "PATH": "/usr/bin:/bin", "LANG": "de", "PYTHONIOENCODING": "utf-8",
    }  # fmt: skip


def test_path_loses_the_folders_of_qgis_where_it_brings_its_libraries_along():
    windows = {
        "OSGEO4W_ROOT": "C:\\Program Files\\QGIS 3.34",
        "Path": 'C:\\PROGRAM FILES\\QGIS 3.34\\bin;C:\\Windows\\system32;C:\\Program Files\\QGIS 3.34;"C:\\Tools"',
    }
    assert clean_environment(windows, "win32")["Path"] == 'C:\\Windows\\system32;"C:\\Tools"'
    mac = {
        "PATH": "/Applications/QGIS-LTR.app/Contents/MacOS/bin:/usr/bin:/opt/homebrew/bin",
        "QGIS_PREFIX_PATH": "/usr",
    }
    assert clean_environment(mac, "darwin")["PATH"] == "/usr/bin:/opt/homebrew/bin"


def test_a_child_starts_under_an_environment_that_would_break_it(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    assert run("print('{\"schema\": 1}')", Listener()) == {"schema": 1}


# ---- the program


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@on_posix
@on_posix
def test_the_line_in_the_log_can_be_typed():
    words = [
        sys.executable,
        "-c",
        "import sys; print(sys.argv[1:])",
        "a b",
        "",
        "it's",
        '"q"',
        "$HOME",
        "#1",
        "a;b&c",
        "*",
    ]
    done = subprocess.run(["/bin/sh", "-c", typed(words, "linux")], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == words[3:]
    assert typed(["geoseg", "a b", "--out=x.gpkg"], "win32") == 'geoseg "a b" --out=x.gpkg'


def test_a_file_whose_name_begins_like_a_flag_is_none(tmp_path):
    assert [as_operand(path) for path in ("-a.tif", "a-b.tif", "/a/-b.tif")] == ["./-a.tif", "a-b.tif", "/a/-b.tif"]
    command = [sys.executable, "-m", "geoseg", "info", as_operand("-a.tif")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "does not exist" in done.stderr


def test_the_program_is_sought_in_this_order(tmp_path):
    by_setting, by_environment, by_install, on_path = (
        str(program(tmp_path / name / "geoseg", "geoseg, version 9.9.9")) for name in ("set", "env", "inst", "path")
    )
    left = tmp_path / "installed.json"
    left.write_text(json.dumps({"command": [by_install, "-m", "geoseg"]}))
    named, bare = (
        {"GEOSEG_EXECUTABLE": by_environment, "PATH": str(tmp_path / "path")},
        {"PATH": str(tmp_path / "path")},
    )
    assert find_command(by_setting, named, left) == [by_setting]
    assert find_command("", named, left) == [by_environment]
    assert find_command(" ", bare, left) == [by_install, "-m", "geoseg"]
    Path(by_install).unlink()
    assert find_command("", bare, left) == [on_path]
    with pytest.raises(
        ExecutableError, match=r"not found: .*inst/geoseg, which installed this plugin, is gone; install it"
    ):
        find_command("", {"PATH": str(tmp_path)}, left)
    with pytest.raises(ExecutableError, match="Settings > Options > Processing > Providers > geoseg"):
        find_command(str(tmp_path), named, left)
    with pytest.raises(ExecutableError, match=r"nowhere: is not a program.*GEOSEG_EXECUTABLE"):
        find_command("", {"GEOSEG_EXECUTABLE": "/nowhere"}, left)


def test_without_a_program_the_way_to_set_it_is_told(tmp_path):
    with pytest.raises(ExecutableError) as missing:
        find_command("", {"PATH": str(tmp_path)}, tmp_path / "nothing.json")
    for way in ("pip", "geoseg qgis install", "Providers > geoseg", "GEOSEG_EXECUTABLE"):
        assert way in str(missing.value)


@on_posix
def test_other_programs_and_old_versions_are_refused(tmp_path):
    assert checked_version((str(program(tmp_path / "new", "geoseg, version 12.0.1rc1")),)) == "12.0.1rc1"
    with pytest.raises(ExecutableError, match=r"geoseg 0\.0\.9, too old for this plugin.*pip install --upgrade"):
        checked_version((str(program(tmp_path / "old", "geoseg, version 0.0.9")),))
    with pytest.raises(ExecutableError, match=r"is not geoseg, or is broken .it said: hello"):
        checked_version((str(program(tmp_path / "other", "hello")),))


def test_this_geoseg_is_new_enough():
    assert checked_version((sys.executable, "-m", "geoseg"))


# ---- what the plugin is written in


@pytest.mark.parametrize("path", sorted(PLUGIN.glob("*.py")), ids=lambda path: path.name)
def test_the_plugin_is_python_3_9_and_takes_qt_from_qgis(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in modules if name.startswith(("PyQt", "geoseg"))}
    foreign = {name for name in modules if name.partition(".")[0] in ("qgis", "processing")}
    if path.name in (
        "command_line.py",
        "environment.py",
        "executable.py",
        "leftovers.py",
        "one_bar.py",
        "process.py",
        "runner.py",
        "__init__.py",
    ):
        assert foreign == set()


def test_the_runner_is_imported_without_qgis():
    code = f"import sys; sys.path.insert(0, {str(PLUGIN.parent)!r}); import geoseg_qgis.runner\n"
    code += "print('qgis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_model_files_that_are_offered_are_those_that_run_as_they_are():
    flags = Path(runner.__file__).with_name("scene_flags.py").read_text(encoding="utf-8")
    (offered,) = re.findall(r"Models \((.*?)\)", flags)
    assert {pattern.removeprefix("*") for pattern in offered.split()} == set(OPENED)
