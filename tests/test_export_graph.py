"""The graph that is exported is the network, of every kind."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from geoseg.export.write import ExportRequest, export_model
from geoseg.inference.on_openvino import ov
from geoseg.model.card import card_from_json, card_to_json, load
from geoseg.model.file import Model, load_card, save_model
from geoseg.model.torch_unet import UNet
from tests.exported import SPECS, exported, pixels  # noqa: F401


def oracle(model, unit):
    """Return class probabilities by a plain forward pass in double precision.

    Args:
        model: card and weights.
        unit: (n, bands, height, width), 0 to 1 over the card's value range.
    """
    card = model.card
    net = UNet(card.network)
    net.load_state_dict({name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}, strict=False)
    mean, std = (np.array(v)[:, None, None] for v in (card.mean, card.std))
    low, high = card.value_range
    pixels = low + unit.astype(np.float64) * (high - low)
    with torch.inference_mode():
        scores = net.double().eval()(torch.from_numpy((pixels - mean) / std)) / card.temperature
        return scores.softmax(1).numpy()


@pytest.mark.parametrize(("spec", "value_range"), SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_the_graph_is_the_network(make_model, tmp_path, spec, value_range, temperature):
    made = make_model(spec, value_range=value_range)
    model = Model(replace(made.card, temperature=temperature), made.weights)
    tile = 4 * spec.stride
    path = exported(tmp_path, model, "onnx", "net.onnx", tile=tile)
    unit = np.random.default_rng(5).uniform(0, 1, (2, spec.bands, tile, tile)).astype(np.float32)
    expected = oracle(model, unit)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (by_ort,) = session.run(None, {"input": unit})
    by_openvino = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([unit])[0]
    for found in (by_ort, by_openvino):
        assert found.dtype == np.float32
        assert found.shape == (2, spec.classes + 1, tile, tile)
        assert not found[:, 0].any()
        np.testing.assert_allclose(found[:, 1:], expected, rtol=0, atol=5e-5)
    assert len(np.unique(expected.argmax(1))) > 1, "a network of one answer proves nothing"


@pytest.mark.parametrize(("spec", "value_range"), SPECS.values(), ids=SPECS)
def test_the_ir_is_the_network(make_model, tmp_path, spec, value_range):
    model = make_model(spec, value_range=value_range)
    tile = 4 * spec.stride
    path = exported(tmp_path, model, "openvino", "net.xml", tile=tile)
    random = np.random.default_rng(6)
    low, high = value_range
    values = random.uniform(low, high, (1, spec.bands, tile, tile))
    values = np.rint(values).astype(np.uint8) if model.card.takes_uint8 else values.astype(np.float32)
    read = ov.Core().read_model(str(path))
    assert list(read.inputs[0].partial_shape)[2:] == [tile, tile]
    found = ov.Core().compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([values])["probabilities"]
    np.testing.assert_allclose(found, oracle(model, (values - low) / (high - low)), rtol=0, atol=5e-5)
    assert load(read.get_rt_info(["geoseg", "card"]).astype(str)) == load_card(tmp_path / "source.safetensors")


@pytest.mark.parametrize("name", SPECS)
def test_weights_come_back_bit_by_bit(make_model, tmp_path, name):
    spec, value_range = SPECS[name]
    model = make_model(spec, value_range=value_range)
    stored = onnx.load(exported(tmp_path, model, "onnx", "net.onnx", tile=4 * spec.stride))
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in stored.graph.initializer}
    for tensor, shape in spec.tensor_shapes().items():
        assert tensors[tensor].dtype == np.float32
        assert tensors[tensor].shape == shape
        assert tensors[tensor].tobytes() == model.weights[tensor].tobytes()
    told = {entry.key: entry.value for entry in stored.metadata_props}
    again = tmp_path / "again.safetensors"
    card = save_model(again, load(told["geoseg"]), {name: tensors[name] for name in spec.tensor_shapes()})
    assert card == load_card(tmp_path / "source.safetensors")


def test_the_card_is_the_same_in_every_format(make_model, tmp_path):
    made = make_model(SPECS["unet"][0], radius=40)
    training = {"data": [{"name": "Dubaï", "license": "CC0-1.0"}], "seed": 7, "nested": {"a": [1, 2.5, None]}}
    scores = [{"split": "held-out", "mean_iou": 0.5, "classes": {"road": {"iou": None}}}]
    card = replace(made.card, training=training, scores=scores, temperature=1.25, window=512)
    source = tmp_path / "source.safetensors"
    card = save_model(source, card, made.weights)
    for to, name in (("onnx", "a.onnx"), ("mlm", "a.mlm.json")):
        export_model(ExportRequest(str(source), to, tmp_path / name))
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    in_onnx = load(session.get_modelmeta().custom_metadata_map["geoseg"])
    item = json.loads((tmp_path / "a.mlm.json").read_text(encoding="utf-8"))
    in_mlm = card_from_json(item["properties"]["geoseg:card"])
    assert in_onnx == in_mlm == load_card(source) == load_card(tmp_path / "a.safetensors") == card
    assert item["properties"]["geoseg:card"] == json.loads(json.dumps(card_to_json(card)))
