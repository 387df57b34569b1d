"""How far a foreign graph sees, measured: rows and columns of pixels are changed and the changed answers looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import ModelError
from geoseg.model.foreign.graph_facts import answered, open_graph, shortly
from geoseg.model.graph import GraphSpec
from geoseg.model.weights import GRAPH
from geoseg.openvino_guard import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from geoseg.model.weights import Model

    Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_PROBE = 1024  # pixels along the way a graph is looked for, where it takes any size
_ACROSS = 2  # strides
_PHASES = 32
_LEAST = 1e-5  # of the answers' deviation; less is rounding, or makes no difference to any class


def measure_graph_radius(model: Model) -> int:
    """Return how many pixels beyond a stride-aligned block can still change one of its answers.

    What is measured is the graph with the weights it has, on noise as wide as its value range: an influence that these
    weights make nearly nothing is not seen. 0 where all of the probe changes, as with graphs that pool whole images.

    Raises:
        ModelError: OpenVINO cannot run the graph, or it answers with NaN.
    """
    spec, card = model.card.network, model.card
    assert isinstance(spec, GraphSpec)  # noqa: S101 - the caller imports graphs
    probe = -(-_PROBE // spec.stride) * spec.stride
    low = (card.value_range[0] - np.array(card.mean)) / np.array(card.std)
    high = (card.value_range[1] - np.array(card.mean)) / np.array(card.std)
    farthest = 0
    for axis in (2, 3):
        along, across = (probe, max(64, _ACROSS * spec.stride))
        across = -(-across // spec.stride) * spec.stride
        size = spec.tile or ((along, across) if axis == 2 else (across, along))
        reach = _reach(_running(model, spec, size), spec, size, axis, (low, high))
        if reach == 0:
            return 0
        farthest = max(farthest, reach)
    return farthest


def _running(model: Model, spec: GraphSpec, size: tuple[int, int]) -> Answer:
    openvino, _ = import_openvino()
    network = open_graph(f"model {model.card.name}", model.weights[GRAPH].tobytes())
    if answered(network, spec.bands, size) is None:
        raise ModelError(f"model {model.card.name}: does not take {size[0]} x {size[1]} pixels")
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    try:
        request = openvino.Core().compile_model(network, "CPU", settings).create_infer_request()
    except Exception as wrong:
        raise ModelError(f"model {model.card.name}: OpenVINO cannot run it ({shortly(wrong)})") from wrong
    kind = np.float16 if network.inputs[0].get_element_type().get_type_name() == "f16" else np.float32

    def answer(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        request.infer([pixels.astype(kind)])
        scores: NDArray[np.float32] = request.output_tensors[0].data[0].astype(np.float32)
        if not np.isfinite(scores).all():
            raise ModelError(f"model {model.card.name}: answers noise with NaN or infinity; its input range is wrong")
        return scores

    return answer


def _reach(answer: Answer, spec: GraphSpec, size: tuple[int, int], axis: int, ends: tuple[Any, Any]) -> int:
    """Return the reach along one axis in pixels, at least 1; 0 where it is no shorter than the probe."""
    random = np.random.default_rng(0)
    low, high = (np.asarray(end, np.float32).reshape(1, -1, 1, 1) for end in ends)
    still = (low + (high - low) * random.random((1, spec.bands, *size), np.float32)).astype(np.float32)
    before = answer(still)
    least = _LEAST * max(float(before.std()), 1e-6)
    length, stride = size[axis - 2], spec.stride
    middle = length // 2 // stride * stride
    farthest = 1
    # A block is reached by what lies beside it in any phase of the stride.
    for number, place in enumerate(range(middle, middle + stride, max(1, stride // _PHASES))):
        line = (slice(None),) * axis + (slice(place, place + 1),)
        for value in (low + high - still[line], (low, high)[number % 2]):
            moved = still.copy()
            moved[line] = value
            difference = np.abs(answer(moved) - before).max(0).max(3 - axis)
            where = np.flatnonzero(difference > least)
            if not where.size:
                continue
            first, last = int(where[0]), int(where[-1])
            if first < stride or last >= length - stride:  # it may reach farther than the probe
                return 0
            above = first // stride * stride + stride - 1  # last pixel of the first block that changes
            farthest = max(farthest, place - above, last // stride * stride - place)
    return farthest
