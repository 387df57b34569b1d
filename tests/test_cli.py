"""The command line's doors, and options that several verbs share."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys

import click
import geopandas
import numpy as np
import pandas as pd
import pytest

import geoseg as package
from geoseg.cli.main import VERBS
from geoseg.cli.options import creation_option, json_option, out_option, overwrite_option
from tests.command_line import child, posix, ran, verb  # noqa: F401

# ---- pipes, doors


@posix
def test_a_closed_pipe_is_no_second_complaint(tmp_path):
    for arguments in (["--help"], ["segment", "--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "geoseg", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        os.close(writer)
        assert done.stderr == ""


def test_python_m_geoseg_is_the_command():
    done = child("--version")
    assert (done.returncode, done.stdout) == (0, f"geoseg, version {package.__version__}\n")
    assert child("nosuchverb").returncode == 2


def test_rio_geoseg(tmp_path, tiny_model_path, write_scene):
    """rasterio finds the plug-in under the installed entry point, and it does what the command does."""
    code = "from rasterio.rio.main import main_group; main_group()"

    def rio(*arguments):
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=90, check=False
        )

    listed, told, failed = rio("--help"), rio("geoseg", "--help"), rio("geoseg", "info", "none.tif")
    assert re.search(r"^ +geoseg ", listed.stdout, re.MULTILINE)
    assert told.returncode == 0
    for name in VERBS:
        assert re.search(rf"^ +{name} ", told.stdout, re.MULTILINE)
    assert failed.returncode == 3
    assert failed.stderr.startswith("geoseg: none.tif: ")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 160), np.uint8)
    scene, flags = write_scene(tmp_path / "scene.tif", pixels), ("--model", str(tiny_model_path), "--device", "cpu")
    rio_made, made = tmp_path / "rio.gpkg", tmp_path / "own.gpkg"
    assert rio("geoseg", "segment", str(scene), "--out", str(rio_made), *flags).returncode == 0
    assert child("segment", str(scene), "--out", str(made), *flags).returncode == 0
    for layer in ("buildings", "roads", "water"):
        ours = geopandas.read_file(made, layer=layer)
        pd.testing.assert_frame_equal(ours, geopandas.read_file(rio_made, layer=layer))


# ---- options that several verbs share


def test_environment_variables_stand_in_for_options_and_give_way_to_them(ran, verb, monkeypatch):
    verb(
        lambda size, **_options: click.echo(size),
        click.option("--size-px", "size", type=int, default=1, help="."),
    )
    assert ran("probe")[1] == "1\n"
    monkeypatch.setenv("GEOSEG_PROBE_SIZE", "7")
    monkeypatch.setenv("GEOSEG_PROBE_SIZE_PX", "7")
    assert ran("probe")[1] == "7\n"
    assert ran("probe", "--size-px", "9")[1] == "9\n"


def test_environment_variables_reach_a_real_verb(ran, monkeypatch, tmp_path):
    monkeypatch.setenv("GEOSEG_SEGMENT_PRECISION", "fp8")
    code, _, complaint = ran("segment", "scene.tif", "--out", "x.gpkg")
    assert code == 2
    assert "'fp8'" in complaint


def test_creation_options_become_a_mapping(ran, verb):
    verb(lambda creation, **_options: click.echo(json.dumps(creation)), creation_option)
    assert json.loads(ran("probe", "--co", "compress=ZSTD", "--co", "PREDICTOR=2", "--co", "A=b=c")[1]) == {
        "COMPRESS": "ZSTD",
        "PREDICTOR": "2",
        "A": "b=c",
    }
    assert json.loads(ran("probe")[1]) == {}


def test_out_overwrite_and_json_are_named_alike(ran, verb):
    def body(out, overwrite, as_json, **_options):
        click.echo(f"{out} {overwrite} {as_json}")

    verb(body, out_option("What is written."), overwrite_option, json_option)
    assert ran("probe", "-o", "a", "--overwrite", "--json")[1] == "a True True\n"
    assert ran("probe", "--out", "a")[1] == "a False False\n"
    assert ran("probe")[0] == 2


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ([], ["warning", "error"]),
        (["-v"], ["info", "warning", "error"]),
        (["-vv"], ["debug", "info", "warning", "error"]),
        (["-q"], ["error"]),
        (["-qq"], []),
        (["-q", "-v"], ["warning", "error"]),
    ],
)
def test_q_and_v_move_what_is_told(ran, verb, flags, shown):
    def body(**_options):
        log = logging.getLogger("geoseg.somewhere")
        for level in ("debug", "info", "warning", "error"):
            getattr(log, level)(level)

    verb(body)
    code, said, told = ran("probe", *flags)
    assert (code, said) == (0, "")
    assert told.splitlines() == [f"geoseg: {level}" for level in shown]


# ---- memory

MEMORY = """
import sys
import geoseg.cli.memory as memory

def mapped():
    return int(open("/proc/self/statm").read().split()[0]) * 4096

getattr(memory, sys.argv[1])()
block = bytearray(20_000_000)
before = mapped()
del block
print(before - mapped() > 15_000_000)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="is about glibc")
@pytest.mark.parametrize(("how", "given_back"), [("steady_memory", "True"), ("kept_memory", "False")])
def test_memory_is_given_back_or_kept(how, given_back):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    ran = subprocess.run([sys.executable, "-c", MEMORY, how], capture_output=True, text=True, check=True, env=env)
    assert ran.stdout.strip() == given_back
