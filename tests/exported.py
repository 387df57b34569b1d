"""Models given to other programs, for tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio

from geoseg.cli.main import geoseg
from geoseg.export.write import ExportRequest, export_model
from geoseg.model.file import DEFAULT, save_model
from geoseg.model.network import NetworkSpec

SCENE = Path(__file__).parents[1] / "sample_data" / "scene.tif"
HALO, CORE = 96, 448
TILE = CORE + 2 * HALO


SPECS = {
    "unet": (NetworkSpec(3, 5, (4, 8, 8)), (0, 255)),
    "fcn": (NetworkSpec(3, 4, (4, 6, 8), kind="fcn"), (0, 255)),
    "one level, two classes": (NetworkSpec(1, 2, (6,), 1), (0, 255)),
    "odd widths, four bands, 16 bits": (NetworkSpec(4, 6, (3, 7, 5, 9)), (100, 10_100)),
    "patches of two": (NetworkSpec(3, 5, (6, 8), patch=2), (0, 255)),
    "patches of four, fcn": (NetworkSpec(4, 3, (8, 5), 1, "fcn", 4), (0, 1000)),
    "around zero, three convolutions": (NetworkSpec(2, 3, (5, 3), 3), (-1.0, 1.0)),
}


def exported(tmp_path, model, to, name, **more):
    """Write a model and then its export; returns the export's path."""
    source = tmp_path / "source.safetensors"
    save_model(source, model.card, model.weights)
    out = tmp_path / name
    export_model(ExportRequest(str(source), to, out, **more))
    return out


@pytest.fixture(scope="module")
def default_onnx(tmp_path_factory):
    out = tmp_path_factory.mktemp("onnx") / "default.onnx"
    export_model(ExportRequest(DEFAULT, "onnx", out))
    return out


@pytest.fixture(scope="module")
def pixels():
    with rasterio.open(SCENE) as scene:
        return scene.read()


@pytest.fixture(scope="module")
def geosegs_classes(tmp_path_factory):
    out = tmp_path_factory.mktemp("raster") / "classes.tif"
    words = ["segment", str(SCENE), "--raster", str(out), "--precision", "fp32", "--device", "cpu", "-q", "-q"]
    assert not geoseg.main(words, standalone_mode=False)
    with rasterio.open(out) as raster:
        return raster.read(1)
