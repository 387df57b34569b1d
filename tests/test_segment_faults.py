"""What can go wrong with ``segment``: one sentence, the right exit code, nothing written, earlier results untouched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

from geoseg.cli.main import geoseg

PLACE = {"crs": "EPSG:32640", "transform": Affine(1, 0, 325000, 0, -1, 2785000)}
GREY = np.full((3, 60, 70), 120, np.uint8)


def write(path: Path, pixels: np.ndarray = GREY, **profile) -> Path:
    """Write (bands, height, width); placed in Dubai unless told otherwise."""
    shape = {
        "count": len(pixels),
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "dtype": pixels.dtype.name,
    }
    with rasterio.open(path, "w", **{"driver": "GTiff"} | shape | PLACE | profile) as scene:
        scene.write(pixels)
    return path


def truncated(folder: Path, share: float) -> Path:
    """Return a TIFF whose directory is whole and whose last blocks are gone."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 600, 600), dtype=np.uint8)
    path = write(folder / "cut.tif", noise, tiled=True, blockxsize=128, blockysize=128, compress="deflate")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def write_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def folder_as_scene(folder: Path) -> Path:
    (folder / "scenes").mkdir()
    return folder / "scenes"


BAD_SCENES = {
    "missing": lambda f: f / "missing.tif",
    "folder": folder_as_scene,
    "empty file": lambda f: write_text(f / "none.tif", ""),
    "text": lambda f: write_text(f / "words.tif", "not a picture at all\n" * 50),
    "truncated header": lambda f: truncated(f, 0.0001),
    "truncated blocks": lambda f: truncated(f, 0.7),
    "too few bands": lambda f: write(f / "one.tif", GREY[:1]),
    "complex": lambda f: write(f / "complex.tif", GREY.astype(np.complex64)),
    "no CRS": lambda f: write(f / "nocrs.tif", crs=None),
    "no place": lambda f: write(f / "noplace.tif", transform=Affine.identity()),
    "too coarse": lambda f: write(f / "coarse.tif", transform=Affine(10, 0, 325000, 0, -10, 2785000)),
    "a VRT by another name": lambda f: write_text(
        f / "evil.tif", '<VRTDataset rasterXSize="5" rasterYSize="5"><VRTRasterBand band="1"/></VRTDataset>'
    ),
}


def run(*words: object):
    """Run the command line in this process; returns exit code and standard error."""
    result = CliRunner().invoke(geoseg, ["segment", *map(str, words)], standalone_mode=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stderr


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("kind", BAD_SCENES)
def test_bad_scene(tmp_path, kind):
    scene = BAD_SCENES[kind](tmp_path)
    out, raster = tmp_path / "classes.gpkg", tmp_path / "classes.tif"
    out.write_bytes(b"an earlier result")
    before = contents(tmp_path)
    code, said = run(scene, "--out", out, "--raster", raster, "--overwrite")
    assert code == 3, said
    assert said.startswith(f"geoseg: {scene}: "), said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line]) == 1, said
    assert out.read_bytes() == b"an earlier result"
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--classes", "castles"], 2),
        (["--min-area-m2", "castle=4"], 2),
        (["--min-area-m2", "-4"], 2),
        (["--simplify-px", "-1"], 2),
        (["--window", "100", "--blend", "exact"], 2),
        (["--overlap", "33"], 2),
        (["--blend", "exact", "--overlap", "64"], 2),
        (["--blend", "sideways"], 2),
        (["--bands", "1,2"], 2),
        (["--bands", "1,2,9"], 2),
        (["--bands", "0,1,2"], 2),
        (["--bands", "red"], 2),
        (["--device", "abacus"], 2),
        (["--precision", "int8"], 5),
        (["--resolution", "-3"], 2),
        (["--resolution", "fine"], 2),
        (["--stretch", "9,3"], 2),
        (["--nodata", "blue"], 2),
        (["--src-crs", "EPSG:nothing"], 2),
        (["--bounds", "1", "2", "0", "3"], 2),
        (["--bounds", "0", "0", "10", "10"], 3),
        (["--aoi", "missing.gpkg"], 3),
        (["--max-pixels", "100"], 3),
        (["--model", "missing.safetensors"], 5),
        (["--rfc7946"], 2),
        (["--co", "nonsense"], 2),
        (["--co", "COMPRESS=ZSTD"], 2),
        (["--bounds", "nan", "2", "0", "3"], 2),
        (["--resolution", "0.01"], 2),
        (["--no-such-flag"], 2),
    ],
)
def test_bad_option(tmp_path, flags, code):
    scene = write(tmp_path / "scene.tif")
    before = contents(tmp_path)
    found, said = run(scene, "--out", tmp_path / "c.gpkg", *flags)
    assert found == code, said
    assert "Traceback" not in said
    assert contents(tmp_path) == before


def test_nothing_to_write(tmp_path):
    code, said = run(write(tmp_path / "scene.tif"))
    assert code == 2
    assert "--out" in said


@pytest.mark.parametrize("name", ["c.shp", "c", "c.txt"])
def test_unknown_ending(tmp_path, name):
    code, said = run(write(tmp_path / "scene.tif"), "--out", tmp_path / name)
    assert code == 2
    assert ".gpkg" in said


def test_existing_output_is_kept(tmp_path):
    scene, out = write(tmp_path / "scene.tif"), tmp_path / "c.gpkg"
    out.write_text("mine")
    code, said = run(scene, "--out", out)
    assert code == 4
    assert "--overwrite" in said
    assert out.read_text() == "mine"


@pytest.mark.parametrize("place", ["missing/c.gpkg", "scene.tif/c.gpkg"])
def test_unwritable_output(tmp_path, place):
    scene = write(tmp_path / "scene.tif")
    before = contents(tmp_path)
    code, said = run(scene, "--out", tmp_path / place)
    assert code == 4, said
    assert contents(tmp_path) == before


def test_output_onto_the_scene(tmp_path):
    scene = write(tmp_path / "scene.tif")
    before = scene.read_bytes()
    assert run(scene, "--raster", scene, "--overwrite")[0] == 2
    assert scene.read_bytes() == before


def test_damaged_blocks_can_be_nodata(tmp_path):
    scene = truncated(tmp_path, 0.7)
    code, said = run(scene, "--raster", tmp_path / "c.tif", "--on-read-error", "nodata")
    assert code == 0
    assert "unreadable" in said
    with rasterio.open(tmp_path / "c.tif") as raster:
        classes = raster.read(1)
    assert not classes[-20:, -20:].any()
    assert classes[:100, :100].all()


def test_a_crs_can_be_given(tmp_path):
    code, _ = run(write(tmp_path / "s.tif", crs=None), "--src-crs", "EPSG:32640", "--raster", tmp_path / "c.tif")
    assert code == 0
    with rasterio.open(tmp_path / "c.tif") as raster:
        assert raster.crs == "EPSG:32640"


@pytest.mark.parametrize("size", [(1, 1), (2, 3)])
def test_tiny_scenes(tmp_path, size):
    scene = write(tmp_path / "s.tif", GREY[:, : size[0], : size[1]])
    assert run(scene, "--out", tmp_path / "c.gpkg", "--classes", "all", "--raster", tmp_path / "c.tif")[0] == 0
    with rasterio.open(tmp_path / "c.tif") as raster:
        assert raster.shape == size
        assert raster.read(1).all()


def test_a_jpeg_named_tif_with_its_sidecar(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    write(tmp_path / "s.jpg", pixels, driver="JPEG")
    (tmp_path / "s.jpg").rename(tmp_path / "s.tif")
    (tmp_path / "s.jpg.aux.xml").rename(tmp_path / "s.tif.aux.xml")
    assert run(tmp_path / "s.tif", "--raster", tmp_path / "c.tif")[0] == 0
    with rasterio.open(tmp_path / "c.tif") as raster:
        assert raster.crs == "EPSG:32640"


def test_every_flag_has_its_environment_variable(tmp_path):
    scene = write(tmp_path / "s.tif")
    given = {"JSON": "1", "CO": "COMPRESS=ZSTD", "RASTER": str(tmp_path / "c.tif"), "WINDOW": "320", "TTA": "1"}
    settings = {f"GEOSEG_SEGMENT_{name}": value for name, value in given.items()}
    result = CliRunner().invoke(geoseg, ["segment", str(scene)], env=settings, auto_envvar_prefix="GEOSEG")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["window"] == [256, 272]
    with rasterio.open(tmp_path / "c.tif") as raster:
        assert raster.compression.name == "zstd"


@pytest.mark.parametrize("level", ["-q", "-qq"])
def test_quiet(tmp_path, level):
    code, said = run(write(tmp_path / "s.tif"), "--raster", tmp_path / "c.tif", level)
    assert (code, said) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path):
    scene = write(tmp_path / "s.tif")
    command = f"{sys.executable} -m geoseg info {scene} | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_rio_gives_the_same_codes(tmp_path):
    rio = Path(sys.executable).with_name("rio")
    command = [
        str(rio),
        "geoseg",
        "segment",
        str(tmp_path / "missing.tif"),
        "--out",
        str(tmp_path / "c.gpkg"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_leaves_nothing(tmp_path, number, code):
    scene = write(tmp_path / "scene.tif", np.tile(GREY, (1, 60, 50)))
    out = tmp_path / "c.gpkg"
    out.write_bytes(b"an earlier result")
    before = contents(tmp_path)
    command = [sys.executable, "-m", "geoseg", "segment", str(scene), "--out", str(out), "--overwrite"]
    process = subprocess.Popen([*command, "--progress", "json"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while '"progress"' not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(number)
    began = time.monotonic()
    rest = process.communicate(timeout=30)[1]
    assert process.returncode == code, rest
    assert time.monotonic() - began < 5
    assert "Traceback" not in rest
    assert out.read_bytes() == b"an earlier result"
    assert contents(tmp_path) == before


DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the data folder beside the repository")
def test_awkward_files_end_well_or_with_a_sentence(tmp_path):
    ends = {}
    for path in sorted((DATA / "awkward" / "rasterio").iterdir()):
        if path.suffix in {".ovr", ".msk", ".geojson"}:
            continue
        code, said = run(path, "--out", tmp_path / "c.gpkg", "--overwrite", "--resolution", "native")
        assert code in {0, 3}, (path.name, code, said)
        assert "Traceback" not in said, path.name
        if code == 3:
            assert said.count("geoseg: ") >= 1
            assert path.name in said
        ends[path.name] = code
    assert ends["RGB.byte.tif"] == 0
    assert ends["corrupt.tif"] == 3
    assert sum(code == 0 for code in ends.values()) >= 8, ends
