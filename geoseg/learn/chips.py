"""Chips: square cuts of labelled images, turned, zoomed and recoloured so that the network cannot learn them by heart.

Every chip is a pure function of the seed, the step and its place in the batch, so a resumed run sees the same chips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoseg.learn.datasets import LabelledImage


@dataclass(frozen=True, slots=True)
class ChipPlan:
    """How chips are cut."""

    size: int = 256
    """Height and width in pixels."""
    batch: int = 8
    seed: int = 0
    zoom: float = 0.3
    """Half of the chips are zoomed by a factor drawn from exp(±zoom): other ground resolutions and object sizes."""
    color: float = 1.0
    """Strength of the photometric changes; 0 turns them off."""


def cut_batch(
    images: Sequence[LabelledImage], shares: NDArray[np.float64], plan: ChipPlan, step: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the pixels (batch, bands, size, size) and labels (batch, size, size) of one step.

    Args:
        images: where chips come from.
        shares: (len(images),) chance of each image, summing to one.
        plan: size, number and strength of the changes.
        step: number of the step, from 0.
    """
    pixels, labels = [], []
    for place in range(plan.batch):
        rng = np.random.default_rng([plan.seed, step, place])
        image = images[int(rng.choice(len(images), p=shares))]
        chip, label = _cut(image, plan, rng)
        turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        chip, label = np.rot90(chip, turns, (1, 2)), np.rot90(label, turns)
        if flip:
            chip, label = chip[:, :, ::-1], label[:, ::-1]
        pixels.append(_recolor(np.ascontiguousarray(chip, np.float32), plan.color, rng))
        labels.append(label)
    return np.stack(pixels), np.stack(labels)


def _cut(
    image: LabelledImage, plan: ChipPlan, rng: np.random.Generator
) -> tuple[NDArray[np.uint8] | NDArray[np.float32], NDArray[np.uint8]]:
    """Cut a random square, resampled to the plan's size; what lies outside the image is unlabelled."""
    zoom = float(np.exp(rng.uniform(-plan.zoom, plan.zoom))) if rng.random() < 0.5 else 1.0
    side = max(8, round(plan.size / zoom))
    height, width = image.labels.shape
    row = int(rng.integers(0, max(1, height - side + 1)))
    col = int(rng.integers(0, max(1, width - side + 1)))
    chip = image.pixels[:, row : row + side, col : col + side]
    label = image.labels[row : row + side, col : col + side]
    if chip.shape[1:] != (side, side):
        short = ((0, side - label.shape[0]), (0, side - label.shape[1]))
        chip, label = np.pad(chip, ((0, 0), *short), mode="symmetric"), np.pad(label, short)
    return (chip, label) if side == plan.size else _zoomed(chip, label, plan.size)


def _zoomed(
    chip: NDArray[np.uint8], label: NDArray[np.uint8], size: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Resample a square to ``size``: pixels bilinearly, labels by nearest neighbour."""
    side = label.shape[0]
    center = (np.arange(size) + 0.5) * (side / size) - 0.5
    low = np.clip(np.floor(center).astype(np.intp), 0, side - 2)
    share = np.clip(center - low, 0, 1).astype(np.float32)
    rows = chip[:, low] * (1 - share[:, None]) + chip[:, low + 1] * share[:, None]
    both = rows[:, :, low] * (1 - share) + rows[:, :, low + 1] * share
    near = np.clip(np.rint(center).astype(np.intp), 0, side - 1)
    return both, label[np.ix_(near, near)]


def _recolor(chip: NDArray[np.float32], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Change light, contrast, colour balance, haze, sharpness and noise of (bands, h, w) values between 0 and 255."""
    if strength <= 0:
        return chip
    bands = chip.shape[0]
    gain = np.exp(rng.normal(0, 0.12 * strength) + rng.normal(0, 0.05 * strength, bands))
    level = chip.mean((1, 2))
    contrast = np.exp(rng.normal(0, 0.12 * strength))
    chip = ((chip - level[:, None, None]) * contrast + (level * gain)[:, None, None]).astype(np.float32)
    if rng.random() < 0.15 * strength:  # haze lifts the dark end
        haze = rng.uniform(0, 0.35)
        chip = chip * (1 - haze) + haze * rng.uniform(150, 230)
    if rng.random() < 0.2 * strength:
        chip[:, 1:-1, 1:-1] = (
            chip[:, 1:-1, 1:-1] * 2 + chip[:, :-2, 1:-1] + chip[:, 2:, 1:-1] + chip[:, 1:-1, :-2] + chip[:, 1:-1, 2:]
        ) / 6
    if rng.random() < 0.3 * strength:
        chip += rng.standard_normal(chip.shape, np.float32) * np.float32(rng.uniform(0, 7))
    return np.clip(chip, 0, 255, out=chip)
