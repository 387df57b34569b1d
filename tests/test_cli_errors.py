"""Every failure of the command line is one sentence and an exit code."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from geoseg.cli import main as door
from geoseg.cli.main import VERBS
from geoseg.errors import (
    BatchError,
    GeosegError,
    InputError,
    Interrupted,
    ModelError,
    OutputError,
    UsageError,
)
from tests.command_line import child, command_of, raising, ran, verb  # noqa: F401

USAGE = [
    ("nosuchverb",),
    ("segment",),
    ("segment", "scene.tif", "--nosuchoption"),
    ("segment", "scene.tif", "--window", "many"),
    ("segment", "scene.tif", "--precision", "fp8"),
    ("segment", "scene.tif", "--resolution", "-1"),
    ("segment", "scene.tif", "--resolution", "nan"),
    ("segment", "scene.tif", "--bounds", "1", "2"),
    ("segment", "scene.tif", "--min-area-m2", "building"),
    ("segment", "scene.tif", "--min-area-m2", "=5"),
    ("segment", "scene.tif", "--min-area-m2", "-5"),
    ("segment", "scene.tif", "--co", "COMPRESS"),
    ("segment", "scene.tif", "--co", "=ZSTD"),
    ("segment", "scene.tif", "--progress", "loud"),
    ("train",),
    ("train", "folder"),
    ("train", "folder", "--out", "m.safetensors", "--steps", "0"),
    ("vectorize", "classes.tif"),
    ("evaluate", "one.tif"),
    ("demo",),
    ("info",),
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_usage_errors_are_code_2_and_one_sentence(ran, arguments):
    code, said, complaint = ran(*arguments)
    assert code == 2
    assert said == ""
    assert "Traceback" not in complaint
    *hints, sentence = complaint.strip().splitlines()
    assert sentence.startswith("Error: ")
    assert all(hint.startswith(("Usage: ", "Try 'geoseg")) or not hint for hint in hints)


def test_no_number_may_be_nan():
    believed = []
    for name in VERBS:
        for param in command_of(name).params:
            if isinstance(param.type, click.FloatRange):
                try:
                    param.type.convert("nan", param, None)
                except click.BadParameter:
                    continue
                believed.append(f"{name} {param.opts[-1]}")
    assert believed == []


ERRORS = [
    (GeosegError, 1),
    (UsageError, 2),
    (InputError, 3),
    (OutputError, 4),
    (ModelError, 5),
    (BatchError, 6),
    (Interrupted, 130),
]


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_an_error_is_its_code_and_one_sentence(ran, verb, error, code):
    verb(raising(error("scene.tif: two\nlines  and more")))
    assert ran("probe") == (code, "", "geoseg: scene.tif: two lines and more\n")


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_under_rio_an_error_is_its_code_and_one_sentence(quiet_log, verb, error, code):
    """``rio`` runs the group itself, without ``main``."""
    verb(raising(error("scene.tif: two\nlines")))
    result = CliRunner().invoke(door.geoseg, ["probe"])
    assert result.exit_code == code
    assert result.stderr == "geoseg: scene.tif: two lines\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["train", "none", "--out", "m.safetensors"], 3),
        (["info", "none.tif"], 3),
        (["segment", "none.tif", "--out", "c.gpkg"], 3),
        (["segment", "none.tif"], 2),
        (["segment", "none.tif", "--out", "c.gpkg", "--model", "none.safetensors"], 5),
        (["segment", "none.tif", "--out", "nofolder/c.gpkg"], 4),
        (["vectorize", "none.tif", "--out", "c.gpkg"], 3),
        (["evaluate", "none.tif", "none.gpkg"], 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_real_failures_end_with_their_code(tmp_path, arguments, code):
    done = child(*arguments, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    sentence = done.stderr.strip()
    assert sentence.startswith("geoseg: ")
    assert "\n" not in sentence
    assert list(tmp_path.iterdir()) == []
    assert done.returncode == code


def test_success_is_code_0(ran, verb):
    verb(lambda **_options: click.echo("result"))
    assert ran("probe") == (0, "result\n", "")


@pytest.mark.parametrize(
    ("flags", "told"), [([], False), (["-v"], False), (["-vv"], True), (["-v", "-v"], True), (["-q"], False)]
)
def test_only_vv_shows_a_traceback(ran, verb, flags, told):
    verb(raising(InputError("scene.tif: broken")))
    code, _, complaint = ran("probe", *flags)
    assert complaint.startswith("geoseg: scene.tif: broken\n")
    assert ("Traceback" in complaint) is told
    assert ("in body" in complaint) is told
    assert code == 3


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), KeyError("name"), RuntimeError(), OSError(5, "disk")])
def test_a_defect_is_code_1_and_asks_for_a_report(ran, verb, error):
    verb(raising(error))
    code, said, complaint = ran("probe")
    assert (code, said) == (1, "")
    assert "internal error, please report it with the output of -vv" in complaint
    assert type(error).__name__ in complaint
    assert complaint.count("\n") == 1
    assert "Traceback" not in complaint


@pytest.mark.parametrize(
    "error", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), json.JSONDecodeError("bad", "{", 0)]
)
def test_a_defect_of_a_class_with_many_arguments_is_reported_too(ran, verb, error):
    verb(raising(error))
    code, _, complaint = ran("probe")
    assert code == 1
    assert "internal error" in complaint
    assert complaint.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device without room")
@pytest.mark.parametrize("buffered", ["", "1"])
def test_only_standard_output_that_is_full_leaves_the_results_in_place(ran, verb, buffered):
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        environment = {**os.environ, "PYTHONUNBUFFERED": buffered}
        command = [sys.executable, "-m", "geoseg", "model", "list"]
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=90, check=False
        )
    assert done.returncode == 4
    assert done.stderr == (
        "geoseg: standard output: no room left, so the results could not be listed; they are in place\n"
    )
    verb(raising(OSError(errno.ENOSPC, "No space left on device", "m.run/history.jsonl")))
    code, said, complaint = ran("probe")
    assert (code, said) == (4, "")
    assert complaint == "geoseg: m.run/history.jsonl: the disk is full; make room and run it again\n"


def test_vv_shows_where_a_defect_is(ran, verb):
    verb(raising(ZeroDivisionError("by zero")))
    code, _, complaint = ran("probe", "-vv")
    assert code == 1
    assert "in body" in complaint
