"""Somebody else's graph between our normalization and our decision, for one window shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import ModelError
from geoseg.model.foreign.graph_facts import answered, open_graph
from geoseg.model.graph import NONE_OF_THEM, GraphSpec
from geoseg.model.weights import GRAPH
from geoseg.openvino_guard import import_openvino

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoseg.inference.network import WindowShape
    from geoseg.model.file import Model

_, ops = import_openvino()

_LEAST = np.float32(1e-12)  # what probabilities are divided by where they are all zero


def foreign_probabilities(x: Any, model: Model, shape: WindowShape) -> tuple[Any, Any]:
    """Return the nodes of class probabilities, and of what decides, (1, classes, core height, core width).

    Args:
        x: the node of normalized pixels, (1, bands, height, width) float32.
        model: a card whose network is a GraphSpec, and the graph.
        shape: of the window.

    Raises:
        ModelError: the graph does not answer this window pixel by pixel.
    """
    spec = model.card.network
    assert isinstance(spec, GraphSpec)  # noqa: S101 - others are built, not opened
    scores, count = _scores(x, model, spec, shape)
    if shape.halo:
        start, stop = [shape.halo] * 2, [shape.height - shape.halo, shape.width - shape.halo]
        scores = ops.slice(scores, *(np.array(part, np.int64) for part in (start, stop, [1, 1], [2, 3])))
    if spec.answers == "sigmoid":
        scores = ops.sigmoid(scores)
    if spec.answers == "logits":
        logits = _picked(scores, spec.channels, count)
        if model.card.temperature != 1:
            logits = ops.multiply(logits, np.float32(1 / model.card.temperature))
        return ops.softmax(logits, 1), logits
    named = [channel for channel in spec.channels if channel != NONE_OF_THEM]
    scores = _picked(scores, named, count)
    if NONE_OF_THEM in spec.channels:  # as likely as the likeliest of the others is not
        likeliest = ops.reduce_max(scores, np.array([1], np.int32), keep_dims=True)
        scores = ops.concat([scores, ops.subtract(np.float32(1), likeliest)], 1)
        order = [*named, NONE_OF_THEM]
        scores = _picked(scores, [order.index(channel) for channel in spec.channels], len(order))
    total = ops.maximum(ops.reduce_sum(scores, np.array([1], np.int32), keep_dims=True), _LEAST)
    return ops.divide(scores, total), scores


def _scores(x: Any, model: Model, spec: GraphSpec, shape: WindowShape) -> tuple[Any, int]:
    """Return the output of the graph for ``x``, and its channels."""
    network = open_graph(f"model {model.card.name}", model.weights[GRAPH].tobytes())
    size = shape.height, shape.width
    found = answered(network, spec.bands, size)
    if found is None or found[1] != size or found[0] <= max(spec.channels):
        raise ModelError(
            f"model {model.card.name}: does not answer {size[0]} x {size[1]} pixels one by one; "
            "give another --window, or import it again with its --stride"
        )
    entrance, exit_ = network.get_parameters()[0], network.get_results()[0].input_value(0)
    kind = entrance.get_element_type().get_type_name()
    entrance.output(0).replace((x if kind == "f32" else ops.convert(x, kind)).output(0))
    return ops.convert(exit_, "f32"), found[0]


def _picked(node: Any, channels: Sequence[int], count: int) -> Any:
    """Return channels of ``count`` in an order of their own."""
    if list(channels) == list(range(count)):
        return node
    return ops.gather(node, np.array(channels, np.int64), np.int64(1))
