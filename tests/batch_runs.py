"""Batches of small tiles, and what they leave, for tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

from geoseg.cli.main import geoseg

if TYPE_CHECKING:
    from pathlib import Path

RASTER = ("--to", "none", "--raster")


def write_tile(path: Path, number: int, side: int = 48) -> Path:
    """Write noise, of one grid with the tiles of other numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (3, side, side), dtype=np.uint8)
    place = {"crs": "EPSG:32640", "transform": Affine(1, 0, 325_000 + 48 * number, 0, -1, 2_785_000)}
    shape = {"count": 3, "height": side, "width": side, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place) as scene:
        scene.write(pixels)
    return path


@pytest.fixture
def tiles(tmp_path) -> Path:
    """Return a folder of four tiles, two of them in a folder below."""
    for number, name in enumerate(("a", "b", "sub/c", "sub/d")):
        write_tile(tmp_path / "tiles" / f"{name}.tif", number)
    return tmp_path / "tiles"


@pytest.fixture
def batch(quiet_log, tiles, tiny_model_path):
    """Return a function that runs a batch of the tiles here, and returns exit code, output and complaints."""

    def run(*words: object, scenes: object = tiles, out: object = tiles.parent / "out") -> tuple[int, str, str]:
        quiet_log.handlers, quiet_log.level = [], 0
        words = ("batch", scenes, "--out-dir", out, "--model", tiny_model_path, *words)
        result = CliRunner().invoke(geoseg, [*map(str, words)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def out(tiles) -> Path:
    return tiles.parent / "out"


def report_of(out: Path, name: str = "report.json") -> dict:
    return json.loads((out / name).read_text("utf-8"))


def told(out: Path, name: str = "report.json") -> dict[str, tuple[str, str]]:
    """Return status and reason of every scene."""
    return {scene["name"]: (scene["status"], scene["why"]) for scene in report_of(out, name)["scenes"]}


def redone(out: Path) -> dict[str, str]:
    """Return why each scene that was not kept was made."""
    return {name: why for name, (status, why) in told(out).items() if status != "kept"}


def files(out: Path) -> dict[str, tuple[int, int]]:
    """Return time of change and inode of every file but the report."""
    found = {str(p.relative_to(out)): p.stat() for p in out.rglob("*") if p.is_file()}
    return {name: (s.st_mtime_ns, s.st_ino) for name, s in found.items() if not name.startswith("report.")}


def classes(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read()


def untidy(out: Path) -> list[str]:
    """Return what a run should have taken away: temporary files and locks."""
    return [str(p) for p in out.rglob("*") if p.name.startswith(".") or ".tmp" in p.name or p.suffix == ".lock"]
