"""Models for other programs: other runtimes give geoseg's own classes."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from geoseg.export.write import ExportRequest, export_model
from geoseg.inference.on_openvino import ov
from geoseg.model.file import DEFAULT, load_card
from tests.exported import CORE, HALO, TILE, default_onnx, geosegs_classes, pixels  # noqa: F401


def in_tiles(pixels, run):
    """Return the output channel of every pixel of (bands, height, width), by tiles whose halos are cut away."""
    height, width = pixels.shape[1:]
    down, across = (-(-size // CORE) * CORE for size in (height, width))
    framed = np.pad(pixels, ((0, 0), (HALO, HALO + down - height), (HALO, HALO + across - width)), "reflect")
    channels = np.zeros((down, across), int)
    for row in range(0, down, CORE):
        for col in range(0, across, CORE):
            tile = framed[None, :, row : row + TILE, col : col + TILE]
            best = run(tile)[0].argmax(0)
            channels[row : row + CORE, col : col + CORE] = best[HALO:-HALO, HALO:-HALO]
    return channels[:height, :width]


def in_onnxruntime(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda tiles: session.run(None, {"input": np.float32(tiles / 255)})[0]


def in_openvino(path):
    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda tiles: compiled([np.float32(tiles / 255)])[0]


@pytest.mark.parametrize("runtime", [in_onnxruntime, in_openvino])
def test_other_runtimes_give_geosegs_classes(default_onnx, pixels, geosegs_classes, runtime):
    values = np.array([0, *(entry.value for entry in load_card(DEFAULT).legend)])
    classes = values[in_tiles(pixels, runtime(default_onnx))]
    share = (classes == geosegs_classes).mean()
    print(f"{runtime.__name__}: {share:.6%} of {classes.size} pixels have geoseg's class")
    assert len(np.unique(geosegs_classes)) >= 4
    assert share >= 0.9999


def test_ir_gives_geosegs_classes_at_any_size(tmp_path, pixels, geosegs_classes):
    out = tmp_path / "default.xml"
    files = export_model(ExportRequest(DEFAULT, "openvino", out))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["default.bin", "default.xml"]
    assert [file.path for file in files] == [out, out.with_suffix(".bin")]
    compiled = ov.Core().compile_model(str(out), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    channels = in_tiles(pixels, lambda tiles: compiled([tiles])["probabilities"])
    share = (channels + 1 == geosegs_classes).mean()
    print(f"OpenVINO IR: {share:.6%}")
    assert share >= 0.9999
    small = compiled([pixels[None, :, :32, :48]])["probabilities"]
    assert small.shape == (1, 5, 32, 48)
