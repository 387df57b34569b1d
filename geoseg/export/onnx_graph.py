"""The ONNX graph of a model, built node by node from its spec; neither torch nor a converter has a part in it.

What the file's users rely on:

- Batch normalizations stay nodes of their own and every initializer of the network has the name of our tensor, so that
  the weights can be read back bit by bit.
- Input: float32, (batch, bands, tile, tile), 0 to 1 over the card's value range; for uint8 that is value / 255.
- Output: float32, (batch, 1 + classes, tile, tile), probabilities. Channel 0 is always 0, channel ``i + 1`` that of the
  legend's class ``i``: QGIS-Deepness takes channel 0 for what stays under its threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

    from geoseg.model.card import ModelCard
    from geoseg.model.file import Model
    from geoseg.model.network import NetworkSpec

INPUT, OUTPUT = "input", "probabilities"

OPSET = 17
IR_VERSION = 8
"""That of opset 17, so that runtimes of 2022 open the file."""


def onnx_model(model: Model, tile: int, metadata: dict[str, str]) -> ModelProto:
    """Return the model as ONNX.

    Args:
        model: card and weights.
        tile: height and width in pixels, a multiple of the network's stride.
        metadata: what the file shall say of itself, text by name.

    Raises:
        UsageError: the package ``onnx`` is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError:
        raise UsageError("--to onnx needs the package onnx; type: pip install 'geoseg[onnx]'") from None

    card = model.card
    graph = _Graph(model, tile)
    scores = graph.network(graph.normalized(INPUT))
    if card.temperature != 1:
        scores = graph.node("Mul", [scores, graph.constant("temperature.inverse", np.float32(1 / card.temperature))])
    classes = graph.node("Softmax", [scores], axis=1)
    one_more = graph.constant("background.pads", np.array([0, 1, 0, 0, 0, 0, 0, 0], np.int64))
    graph.node("Pad", [classes, one_more], output=OUTPUT)
    takes = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", len(card.bands), tile, tile])
    gives = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", len(card.legend) + 1, tile, tile])
    built = helper.make_model(
        helper.make_graph(graph.nodes, "geoseg", [takes], [gives], graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="geoseg",
    )
    helper.set_model_props(built, metadata)
    onnx.checker.check_model(built, full_check=True)
    return built


class _Graph:
    """Nodes and initializers in the making; values are known by their names."""

    def __init__(self, model: Model, tile: int) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._model, self._tile = model, tile
        for name, tensor in model.weights.items():
            self.constant(name, tensor)

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Add a tensor and return its name."""
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], *, output: str | None = None, **attributes: Any) -> str:
        """Add an operation and return the name of its one output."""
        from onnx import helper

        output = output or f"{len(self.nodes)}.{kind}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def normalized(self, x: str) -> str:
        """From 0 to 1 over the value range to (value − mean) / std, as one multiplication and one addition."""
        scale, shift = (self.constant(name, value) for name, value in _scaling(self._model.card).items())
        return self.node("Add", [self.node("Mul", [x, scale]), shift])

    def network(self, x: str) -> str:
        """From normalized pixels to class scores before the softmax."""
        spec = self._model.card.our_network()
        x = self._gathered(x, spec)
        skips = []
        for level in range(spec.levels):
            if level:
                x = self.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
            x = self._block(x, f"down.{level}", spec)
            skips.append(x)
        for level in reversed(range(spec.levels - 1)):
            kernel = [x, f"up.{level}.weight", f"up.{level}.bias"]
            x = self.node("ConvTranspose", kernel, kernel_shape=[2, 2], strides=[2, 2])
            if spec.skips:
                x = self.node("Concat", [skips[level], x], axis=1)
            x = self._block(x, f"merge.{level}", spec)
        x = self.node("Conv", [x, "head.weight", "head.bias"], kernel_shape=[1, 1])
        return self.node("DepthToSpace", [x], blocksize=spec.patch, mode="CRD") if spec.patch > 1 else x

    def _gathered(self, x: str, spec: NetworkSpec) -> str:
        """Turn each patch of pixels into channels, those of a band side by side.

        Three nodes instead of SpaceToDepth, which has patches in another order, and a Gather, which OpenVINO 2026.4
        gets wrong before a convolution.
        """
        patch, bands, side = spec.patch, spec.bands, self._tile // spec.patch
        if patch == 1:
            return x
        apart = self.constant("patch.apart", np.array([-1, bands, side, patch, side, patch]))
        joined = self.constant("patch.joined", np.array([-1, bands * patch**2, side, side]))
        x = self.node("Transpose", [self.node("Reshape", [x, apart])], perm=[0, 1, 3, 5, 2, 4])
        return self.node("Reshape", [x, joined])

    def _block(self, x: str, prefix: str, spec: NetworkSpec) -> str:
        for i in range(spec.convolutions):
            x = self.node("Conv", [x, f"{prefix}.{i}.conv.weight"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            parts = [f"{prefix}.{i}.norm.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
            x = self.node("BatchNormalization", [x, *parts], epsilon=1e-5)
            x = self.node("Relu", [x])
        return x


def _scaling(card: ModelCard) -> dict[str, NDArray[np.float32]]:
    """Return what 0 to 1 is multiplied by, and what is added, for every band."""
    low, high = card.value_range
    mean, std = np.array(card.mean), np.array(card.std)
    parts = {"pixels.scale": (high - low) / std, "pixels.shift": (low - mean) / std}
    return {name: part.astype(np.float32).reshape(1, -1, 1, 1) for name, part in parts.items()}
