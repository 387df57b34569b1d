"""OpenVINO IR: the graph that geoseg itself runs on processors, as ``.xml`` with a ``.bin`` beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        from geoseg.inference.on_openvino import ov, window_graph
    except ImportError as missing:
        raise UsageError(f"--to openvino needs OpenVINO, which cannot be imported here ({missing})") from missing

    side = ANY if tile is None else tile
    graph = window_graph(model, WindowShape(side, side, 0), "scores", batch=ANY)
    graph.outputs[0].tensor.set_names({"probabilities"})
    graph.set_rt_info(dump(model.card), ["geoseg", "card"])
    ov.save_model(graph, path, compress_to_fp16=False)
