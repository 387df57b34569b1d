"""Segmentation models as other people make them: small ONNX graphs, and what ONNX Runtime answers with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from scipy.ndimage import gaussian_filter

from geoseg.errors import ModelError
from geoseg.model.file import load_model

if TYPE_CHECKING:
    from pathlib import Path

REACH = 5
"""Pixels beyond a block that can change its answers: 1 and 1 of the finest level, 2 of the coarser, 1 for the phase."""


def graph(
    bands: int,
    channels: int,
    size: tuple[int, int] | None = None,
    *,
    last: str | None = None,
    pooled: bool = False,
    like: np.ndarray | None = None,
    seed: int = 0,
) -> ModelProto:
    """Return a small U-Net with random weights.

    Args:
        bands: of the input.
        channels: of the output.
        size: height and width it is bound to; None for any even ones.
        last: operation after the scores, such as Softmax.
        pooled: whether the mean of the whole image is added to the scores.
        like: what will go in, (bands, height, width); every channel's scores have the mean zero on it.
        seed: of the weights.
    """
    random = np.random.default_rng(seed)

    def weights(name: str, *shape: int) -> TensorProto:
        spread = (2 / np.prod(shape[1:])) ** 0.5
        return numpy_helper.from_array((random.normal(size=shape) * spread).astype(np.float32), name)

    made = [
        weights("first", 8, bands, 3, 3),
        weights("deep", 8, 8, 3, 3),
        weights("up", 8, 8, 2, 2),
        weights("head", channels, 16, 3, 3),
        numpy_helper.from_array(np.zeros(channels, np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["fine"]),
        helper.make_node("MaxPool", ["fine"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["half", "deep"], ["b"], pads=[1] * 4),
        helper.make_node("Relu", ["b"], ["coarse"]),
        helper.make_node("ConvTranspose", ["coarse", "up"], ["wide"], strides=[2, 2], kernel_shape=[2, 2]),
        helper.make_node("Concat", ["fine", "wide"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "head", "bias"], ["s"], pads=[1] * 4),
    ]
    if pooled:
        nodes += [helper.make_node("GlobalAveragePool", ["s"], ["m"]), helper.make_node("Add", ["s", "m"], ["t"])]
    scores = "t" if pooled else "s"
    if like is not None:
        plain = model([*nodes, helper.make_node("Identity", [scores], ["y"])], made, bands, channels)
        mean = answers(plain.SerializeToString(), like).mean((1, 2))
        made[-1] = numpy_helper.from_array(-mean, "bias")
    nodes.append(helper.make_node(last or "Identity", [scores], ["y"], **({"axis": 1} if last == "Softmax" else {})))
    return model(nodes, made, bands, channels, size)


def model(nodes, tensors, bands: int, channels: int, size: tuple[int, int] | None = None) -> ModelProto:
    """Return a file of a graph from x to y."""
    batch, sides = (1, size) if size else ("n", ("h", "w"))
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, count, *sides])
        for name, count in (("x", bands), ("y", channels))
    )
    made = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], tensors), opset_imports=[helper.make_opsetid("", 17)]
    )
    made.ir_version = 8
    return made


def write(path: Path, made: ModelProto, metadata: dict | None = None, beside: dict | None = None) -> Path:
    """Write a file with metadata as Deepness writes them, and a description beside it."""
    if metadata:
        helper.set_model_props(made, {key: json.dumps(value) for key, value in metadata.items()})
    path.write_bytes(made.SerializeToString())
    if beside:
        path.with_name(path.name + ".json").write_text(json.dumps(beside))
    return path


def answers(path: Path | bytes, entering: np.ndarray) -> np.ndarray:
    """Return what ONNX Runtime answers to (bands, height, width): (channels, height, width)."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: entering[None].astype(np.float32)})
    return found[0]


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return probabilities over the first axis."""
    power = np.exp(scores - scores.max(0))
    return power / power.sum(0)


TOLD = {"resolution_m": 1.0, "value_range": [0, 255], "input_range": [0, 1]}
FOUR = {**TOLD, "classes": ["background", "building", "meadow", "water"], "bands": ["nir", "red"]}
DEEPNESS = {
    "model_type": "Segmentor",
    "class_names": {0: "_background_", 1: "road", 2: "tree"},
    "resolution": 100.0,
    "tile_size": 128,
    "tiles_overlap": 25,
    "standardization_mean": [0.4, 0.5, 0.6],
    "standardization_std": [0.2, 0.25, 0.3],
}


def blurred(bands: int, height: int, width: int, seed: int = 5) -> np.ndarray:
    """Return smooth random bytes (bands, height, width)."""
    noise = np.random.default_rng(seed).normal(size=(bands, height, width))
    smooth = np.stack([gaussian_filter(band, 3) for band in noise])
    low, high = smooth.min(), smooth.max()
    return np.rint((smooth - low) / (high - low) * 255).astype(np.uint8)


def refusal(path, read=load_model):
    """Return the one sentence with which a file is refused."""
    with pytest.raises(ModelError) as refused:
        read(path)
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}: "), sentence
    assert "\n" not in sentence
    return sentence
