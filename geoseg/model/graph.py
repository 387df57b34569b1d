"""A network that somebody else built: an ONNX graph, what goes in and what its output means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from geoseg.errors import ModelError

Answers = Literal["logits", "sigmoid", "probabilities"]
"""What the graph's output is: scores of exclusive classes before the softmax, scores of independent classes before
the sigmoid, or probabilities."""

NONE_OF_THEM = -1
"""Instead of an output channel: the class of a pixel that is none of the others."""

MAX_BYTES = 2 * 1024**3 - 1
"""A file of protocol buffers is never larger."""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """An ONNX graph with one input (n, bands, height, width) and one output (n, channels, height, width)."""

    bands: int
    """Input bands."""
    classes: int
    """Classes of the legend."""
    channels: tuple[int, ...]
    """Per class of the legend: its output channel, or `NONE_OF_THEM`; channels that no class names are left out."""
    answers: Answers = "logits"
    tile: tuple[int, int] | None = None
    """Height and width the graph is bound to; None where it takes any that are multiples of ``stride``."""
    stride: int = 32
    """Window offsets and sizes are multiples of it."""
    halo: int | None = None
    """Pixels beside a window's core where none are asked for; None leaves that to the plan."""
    kind: str = "onnx"

    def __post_init__(self) -> None:
        if self.kind != "onnx":
            raise ModelError(f"network kind {self.kind!r} is unknown; a graph is onnx")
        if self.answers not in get_args(Answers):
            raise ModelError(f"answers of the graph: {self.answers!r} is none of {', '.join(get_args(Answers))}")
        if not 1 <= self.bands <= 512 or not 2 <= self.classes <= 254 or not 1 <= self.stride <= 1024:
            raise ModelError(
                f"graph of {self.bands} bands, {self.classes} classes and stride {self.stride} is out of range "
                "(1–512, 2–254, 1–1024)"
            )
        if len(self.channels) != self.classes or len(set(self.channels)) != self.classes:
            raise ModelError(f"graph: {self.classes} classes cannot have the output channels {list(self.channels)}")
        if min(self.channels) < NONE_OF_THEM or max(self.channels) > 4096 or max(self.channels) < 0:
            raise ModelError(f"graph: output channels {list(self.channels)} are out of range (-1 to 4096)")
        if NONE_OF_THEM in self.channels and self.answers == "logits":
            raise ModelError("graph: a class that is none of the others needs sigmoid or probabilities as answers")
        if self.tile is not None and (min(self.tile) < 1 or max(self.tile) > 16384):
            raise ModelError(f"graph: a tile of {self.tile[0]} x {self.tile[1]} pixels is out of range (1–16384)")
        if self.tile is not None and any(side % self.stride for side in self.tile):
            raise ModelError(f"graph: the tile {self.tile} is no multiple of the stride {self.stride}")
        if self.halo is not None and (self.halo < 0 or self.halo % self.stride):
            raise ModelError(f"graph: the halo {self.halo} is no multiple of the stride {self.stride}")
