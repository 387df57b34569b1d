"""OpenVINO IR: the network that geoseg itself runs on processors, as ``.xml`` with a ``.bin`` beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import UsageError
from geoseg.inference.network import WindowShape
from geoseg.model.card import dump

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.model.file import Model

ANY = -1
"""A size that is only known when the graph is run."""


def write_ir(model: Model, path: Path, tile: int | None) -> None:
    """Write ``path`` (.xml), and the weights beside it under the same stem (.bin).

    Input ``pixels``: (batch, bands, height, width) in the card's value range, as uint8 where that is 0 to 255, else as
    float32. Output ``probabilities``: (batch, classes, height, width), in the legend's order. The card lies in the
    runtime information under ``geoseg``, ``card``.

    Args:
        model: card and weights.
        path: where to.
        tile: height and width in pixels; None leaves both open, for any multiple of the network's stride.

    Raises:
        UsageError: OpenVINO cannot be imported here.
    """
    try:
        from geoseg.inference.on_openvino import ops, ov, unet_graph
    except ImportError as missing:
        raise UsageError(f"--to openvino needs OpenVINO, which cannot be imported here ({missing})") from missing

    card, side = model.card, ANY if tile is None else tile
    kind = np.uint8 if card.takes_uint8 else np.float32
    pixels = ops.parameter([ANY, len(card.bands), side, side], kind, name="pixels")
    mean, std = (np.array(value, np.float32).reshape(1, -1, 1, 1) for value in (card.mean, card.std))
    normalized = ops.divide(ops.subtract(ops.convert(pixels, "f32"), mean), std)
    scores = unet_graph(normalized, model, WindowShape(side, side, 0))
    probabilities = ops.softmax(ops.divide(scores, np.float32(card.temperature)), 1)
    graph = ov.Model([probabilities], [pixels], "geoseg")
    graph.outputs[0].tensor.set_names({"probabilities"})
    graph.set_rt_info(dump(card), ["geoseg", "card"])
    ov.save_model(graph, path, compress_to_fp16=False)
