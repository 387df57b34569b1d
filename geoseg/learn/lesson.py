"""What a run learns from, and how: the two nouns of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from geoseg.errors import UsageError
from geoseg.labels.labelled import DEMO
from geoseg.learn.losses import GAMMA, loss_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoseg.labels.labelled import LabelKey, LabelledImage
    from geoseg.vocabulary import Legend

_DEMO_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run learns."""

    steps: int = 4000
    learning_rate: float = 2e-3
    """Peak; reached after the warm-up."""
    warmup: int = 100
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: down to one per cent along a cosine, or as it is."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    weight_decay: float = 0.01
    loss: str = "ce+iou"
    """See :func:`geoseg.learn.losses.loss_named`."""
    gamma: float = GAMMA
    """Exponent of the focal loss."""
    weighting: float = 0.5
    """α of a class is its share of the labels to the power of minus this, at most five times the smallest α."""
    undo_weights: bool = True
    """Whether α is taken back out of the last bias, so that probabilities mean what they say."""
    edge_tolerance: int = 0
    """Pixels beside a border between classes that may be of either: labels are drawn by hand."""
    average: float = 0.998
    """Decay of the moving average of the weights, per step; 0 keeps no average."""
    shares: Mapping[str, float] = field(default_factory=lambda: {DEMO: _DEMO_SHARE})
    """Share of the chips per source of images, where there are any of it."""
    balance: float = 0.0
    """Share of the chips that are drawn by class, each class as often as any other."""
    check_every: int = 300
    """Steps between two scorings."""

    def __post_init__(self) -> None:
        loss_named(self.loss, self.gamma)
        if self.steps < 1 or self.check_every < 1 or self.learning_rate <= 0:
            raise UsageError("a run needs at least one step and a positive learning rate")

    @property
    def is_weighted(self) -> bool:
        """Whether the loss has class weights."""
        return {name.strip() for name in self.loss.split("+")} != {"iou"}


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learned from: the images, what their labels say, and their statistics."""

    key: LabelKey
    images: list[LabelledImage]
    held_out: list[LabelledImage]
    """Images that are only scored on; may be empty, then the last weights are kept."""
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def legend(self) -> Legend:
        """The classes."""
        return self.key.legend
