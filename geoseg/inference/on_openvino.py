"""The network on a CPU: an OpenVINO graph built from the card's spec and the weights, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import ModelError, UsageError
from geoseg.inference.margins import decoder_margins
from geoseg.inference.onnx_graph import foreign_probabilities
from geoseg.model.file import folded
from geoseg.model.foreign.graph_facts import shortly
from geoseg.model.graph import GraphSpec
from geoseg.model.network import NetworkSpec
from geoseg.openvino_guard import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from geoseg.inference.network import Precision, RunsOn, WindowShape
    from geoseg.model.card import ModelCard
    from geoseg.model.file import Model

ov, ops = import_openvino()


class OpenVINONetwork:
    """A U-Net, or somebody else's graph, compiled for one window shape on the CPU."""

    device = "cpu"

    def __init__(self, model: Model, shape: WindowShape, runs_on: RunsOn) -> None:
        core = ov.Core()
        native_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if runs_on.precision == "bf16" and not native_bf16:
            raise UsageError("--precision bf16: this processor has no bfloat16 arithmetic; use fp32")
        # That bf16 keeps the classes was measured of networks of ours alone.
        fast = native_bf16 and isinstance(model.card.network, NetworkSpec)
        self.precision: Precision = runs_on.precision or ("bf16" if fast else "fp32")
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }
        if runs_on.threads is not None:
            settings["INFERENCE_NUM_THREADS"] = str(runs_on.threads)
            # OpenVINO ties its threads to the first cores; processes side by side would all sit on the same ones.
            settings["ENABLE_CPU_PINNING"] = "NO"
        self._requests: dict[str, Any] = {}

        def compiled(answer: str) -> Any:
            graph = _graph(model, shape, answer)
            try:
                return core.compile_model(graph, "CPU", settings)
            except Exception as wrong:
                raise ModelError(f"model {model.card.name}: OpenVINO cannot run it ({shortly(wrong)})") from wrong

        self._compile: Callable[[str], Any] = compiled
        self._dtype = np.uint8 if model.card.takes_uint8 else np.float32
        self._name = model.card.name
        self._foreign = isinstance(model.card.network, GraphSpec)

    def decide(self, pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return class indices and confidence in percent, each (core height, core width)."""
        classes, confidence = self._infer("decide", pixels)
        return classes, confidence

    def scores(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return class probabilities (classes, core height, core width)."""
        scores: NDArray[np.float32] = self._infer("scores", pixels)[0]
        return scores

    def _infer(self, answer: str, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        """Run the graph that ends in ``answer``; the result is valid until the next call."""
        if answer not in self._requests:
            self._requests[answer] = self._compile(answer).create_infer_request()
        request = self._requests[answer]
        request.infer([np.ascontiguousarray(pixels, self._dtype)[None]], share_inputs=True)
        answers = [output.data for output in request.output_tensors]
        if self._foreign and not np.isfinite(answers.pop()):
            raise ModelError(
                f"model {self._name}: answers with NaN or infinity; its weights or its input range are wrong"
            )
        return [answer[0] for answer in answers]


def _graph(model: Model, shape: WindowShape, answer: str) -> Any:
    """Return the graph from pixels to ``answer``: 'decide' (classes, confidence) or 'scores' (probabilities)."""
    card = model.card
    kind = np.uint8 if card.takes_uint8 else np.float32
    pixels = ops.parameter([1, len(card.bands), shape.height, shape.width], kind, name="pixels")
    if isinstance(card.network, GraphSpec):
        probabilities, logits = foreign_probabilities(_normalized(pixels, card), model, shape)
        # NaN and infinity anywhere stay in the sum; weights of ours were looked through when they were read.
        total = [ops.reduce_sum(logits, np.arange(4, dtype=np.int32))]
    else:
        logits = unet_graph(_normalized(pixels, card), model, shape)
        if card.temperature != 1:
            logits = ops.multiply(logits, np.float32(1 / card.temperature))
        probabilities = ops.softmax(logits, 1)
        total = []
    if answer == "scores":
        return ov.Model([probabilities, *total], [pixels], "scores")
    best = ops.topk(logits, np.int32(1), 1, "max", "none", index_element_type="i32")
    classes = ops.convert(ops.squeeze(best.output(1), np.array([1], np.int32)), "u8")
    percent = ops.multiply(ops.reduce_max(probabilities, np.array([1], np.int32)), np.float32(100))
    confidence = ops.convert(ops.round(percent, "half_to_even"), "u8")
    return ov.Model([classes, confidence, *total], [pixels], "decide")


def _normalized(pixels: Any, card: ModelCard) -> Any:
    """(x − mean) / std as one multiplication and one addition."""
    scale = (1 / np.array(card.std)).astype(np.float32).reshape(1, -1, 1, 1)
    shift = (-np.array(card.mean) / np.array(card.std)).astype(np.float32).reshape(1, -1, 1, 1)
    return ops.add(ops.multiply(ops.convert(pixels, "f32"), scale), shift)


def unet_graph(x: Any, model: Model, shape: WindowShape) -> Any:
    """Return the node of class scores (1, classes, core height, core width) for the normalized pixels ``x``."""
    spec = model.card.our_network("built anew; use --to onnx")
    tensors = folded(spec, model.weights)
    margins = decoder_margins(spec, shape.halo)
    halo = shape.halo // spec.patch
    core = (shape.height // spec.patch - 2 * halo, shape.width // spec.patch - 2 * halo)

    def block(node: Any, prefix: str) -> Any:
        for i in range(spec.convolutions):
            weight, bias = tensors[f"{prefix}.{i}.conv.weight"], tensors[f"{prefix}.{i}.conv.bias"]
            node = ops.convolution(node, weight, [1, 1], [1, 1], [1, 1], [1, 1])
            node = ops.relu(ops.add(node, bias.reshape(1, -1, 1, 1)))
        return node

    def cut(node: Any, level: int, margin: int, around: int) -> Any:
        """Keep ``margin`` of the ``around`` pixels that lie beside the core on each side."""
        if margin == around:
            return node
        size = [(side >> level) + around + margin for side in core]
        start = around - margin
        return ops.slice(
            node,
            np.array([start] * 2, np.int64),
            np.array(size, np.int64),
            np.array([1, 1], np.int64),
            np.array([2, 3], np.int64),
        )

    if spec.patch > 1:
        x = ops.space_to_depth(x, "depth_first", spec.patch)
    skips = []
    for level in range(spec.levels):
        if level:
            x = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "floor").output(0)
        x = block(x, f"down.{level}")
        skips.append(x)
    around = halo >> (spec.levels - 1)
    x = cut(x, spec.levels - 1, margins[-1], around)
    around = margins[-1]
    for level in reversed(range(spec.levels - 1)):
        # torch keeps transposed kernels as (in, out, h, w), as OpenVINO wants them
        x = ops.convolution_backprop_data(
            x,
            tensors[f"up.{level}.weight"],
            strides=[2, 2],
            pads_begin=[0, 0],
            pads_end=[0, 0],
            dilations=[1, 1],
        )
        x = ops.add(x, tensors[f"up.{level}.bias"].reshape(1, -1, 1, 1))
        x = cut(x, level, margins[level], 2 * around)
        if spec.skips:
            x = ops.concat([cut(skips[level], level, margins[level], halo >> level), x], 1)
        x = block(x, f"merge.{level}")
        around = margins[level]
    x = cut(x, 0, 0, around)
    x = ops.convolution(x, tensors["head.weight"], [1, 1], [0, 0], [0, 0], [1, 1])
    x = ops.add(x, tensors["head.bias"].reshape(1, -1, 1, 1))
    return ops.depth_to_space(x, "depth_first", spec.patch) if spec.patch > 1 else x
