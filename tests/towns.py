"""A town cut into tiles, and batches of them, for tests."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pyogrio
import pytest
from affine import Affine
from click.testing import CliRunner

from geoseg.cli.main import geoseg

PLACE = Affine(0.5, 0, 330_000, 0, -0.5, 2_780_000)
CLASSES = ("buildings", "roads", "water", "vegetation", "land")


@pytest.fixture
def run(tiny_model_path, quiet_log):
    """Return a function that runs the command line with the small model and returns (exit code, outcome)."""

    def call(*arguments):
        found = CliRunner().invoke(geoseg, [*map(str, arguments)], standalone_mode=False)
        if found.exception is not None:
            raise found.exception
        return found.return_value if isinstance(found.return_value, int) else 0, found

    def call_with_model(verb, *arguments):
        return call(verb, *arguments, "--model", tiny_model_path, "--classes", "all")

    return call_with_model


@pytest.fixture
def town(tmp_path, write_scene):
    """Return a raster, and the folder of the nine tiles it was cut into."""
    coarse = np.random.default_rng(11).integers(0, 256, (3, 40, 40))
    pixels = np.kron(coarse, np.ones((8, 8))).astype(np.uint8)[:, :300, :310]
    whole = write_scene(tmp_path / "town.tif", pixels, transform=PLACE)
    folder = tmp_path / "tiles"
    folder.mkdir()
    for row, col in itertools.product(range(0, 300, 100), range(0, 310, 110)):
        tile = pixels[:, row : row + 100, col : col + 110]
        write_scene(folder / f"r{row}c{col}.tif", tile, transform=PLACE @ Affine.translation(col, row))
    return whole, folder


def polygons(path, layers=CLASSES):
    """Return every layer's table, by name."""
    return {layer: pyogrio.read_dataframe(path, layer=layer) for layer in layers}


def assert_same_layers(one, other):
    a, b = polygons(one), polygons(other)
    assert sum(map(len, a.values())) > 20
    for layer in CLASSES:
        assert a[layer].equals(b[layer]), layer


def report_of(out):
    return json.loads((out.with_name(out.name + ".run") / "report.json").read_text("utf-8"))
