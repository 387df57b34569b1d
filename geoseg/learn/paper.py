"""The paper's experiment: its protocol and its two tables, as far as its text tells.

Hussein and Ali, U-Net for semantic segmentation of aerial imagery, IJEEE 18(1), 2022,
https://doi.org/10.37917/ijeee.18.1.7. Six outputs: the five classes and Unlabeled. 65 images to learn from and 7 to
score on, 500 patches of 128 × 128 pixels an epoch, 100 epochs, Adam with a learning rate of 0.001, batches of 17.
"""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.learn.chips import ChipPlan
from geoseg.learn.lesson import Recipe
from geoseg.model.network import doubling
from geoseg.vocabulary import DEFAULT_LEGEND, Legend, MapClass

UNLABELED = "unlabeled"
LEGEND = Legend((*DEFAULT_LEGEND, MapClass(6, UNLABELED, None, "#9B9B9B", "#9B9B9B")))
"""The paper's six outputs."""

HELD_OUT = 7
"""Images to score on."""

KINDS = {"unet": "U-Net", "fcn": "CNN"}
"""Networks, and what the paper calls them. Its CNN is not described; ours is the same encoder without skips."""
LOSSES = ("ce", "focal", "iou")

TABLES = {
    "unet": (
        (0.54446, 0.76, 0.52749, 0.77),
        (0.52756, 0.77, 0.52701, 0.77),
        (0.53875, 0.76, 0.53456, 0.76),
        (0.52270, 0.77, 0.50296, 0.78),
        (0.55374, 0.76, 0.53489, 0.77),
    ),
    "fcn": (
        (0.4892, 0.9613, 0.4533, 0.9632),
        (0.4539, 0.9659, 0.4502, 0.9720),
        (0.4397, 0.9676, 0.4302, 0.9719),
        (0.4307, 0.9686, 0.4302, 0.9668),
        (0.4227, 0.9699, 0.4556, 0.9750),
    ),
}
"""Tables I and II: loss, accuracy, validation loss, validation accuracy, five lines each; what the lines are, it does
not say."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """The paper's numbers, and what a run changes of them."""

    epochs: int = 100
    width: int = 16
    """Channels of the finest level; the paper states none."""
    patches: int = 500
    size: int = 128
    batch: int = 17
    learning_rate: float = 1e-3
    seed: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the last one is full, too."""
        return -(-self.patches // self.batch)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels per level."""
        return doubling(self.width)

    def recipe(self, loss: str) -> Recipe:
        """Return how one of the networks learns: no schedule, no average, weights of the loss left in."""
        return Recipe(
            steps=self.epochs * self.steps_per_epoch,
            learning_rate=self.learning_rate,
            warmup=0,
            schedule="constant",
            optimizer="adam",
            weight_decay=0.0,
            loss=loss,
            undo_weights=False,
            average=0.0,
            shares={},
            check_every=self.steps_per_epoch,
        )

    def chips(self) -> ChipPlan:
        """Return how patches are cut: anywhere, as they are."""
        return ChipPlan(self.size, self.batch, self.seed, zoom=0.0, lay=False, color=0.0)

    @property
    def is_shorter(self) -> bool:
        """Whether any of its runs is less than the paper's."""
        paper = Protocol()
        return self.epochs < paper.epochs or self.patches < paper.patches or self.width < paper.width

    def changed(self) -> list[str]:
        """Return what differs from the paper; its width is the one we took, since it states none."""
        paper = Protocol()
        named = (
            ("epochs", self.epochs, paper.epochs),
            ("patches an epoch", self.patches, paper.patches),
            ("channels at the finest level", self.width, paper.width),
        )
        return [f"{ours} {noun} instead of {theirs}" for noun, ours, theirs in named if ours != theirs]
