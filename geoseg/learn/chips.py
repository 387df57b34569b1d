"""Chips: square cuts of labelled images, turned, zoomed and recoloured so that the network cannot learn them by heart.

Every chip is a pure function of the seed, the step and its place in the batch, so a resumed run sees the same chips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.learn.recolor import recolored
from geoseg.learn.warp import Place, cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.learn.sampling import Sampler, Spot


@dataclass(frozen=True, slots=True)
class ChipPlan:
    """How chips are cut."""

    size: int = 256
    """Height and width in pixels."""
    batch: int = 8
    seed: int = 0
    zoom: float = 0.3
    """Half of the chips are zoomed by a factor drawn from exp(±zoom): other ground resolutions and object sizes."""
    turn: float = 0.0
    """Share of the chips that are turned by any angle."""
    lay: bool = True
    """Whether chips are turned by right angles and mirrored, all eight ways."""
    color: float = 1.0
    """Strength of the photometric changes; 0 turns them off."""
    values: tuple[float, float] = (0, 255)
    """Range of the pixels' values."""


def cut_batch(sampler: Sampler, plan: ChipPlan, step: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the pixels (batch, bands, size, size) and labels (batch, size, size) of one step.

    Args:
        sampler: where chips come from.
        plan: size, number and strength of the changes.
        step: number of the step, from 0.
    """
    random = (np.random.default_rng([plan.seed, step, place]) for place in range(plan.batch))
    pixels, labels = zip(*(cut_chip(sampler, plan, rng) for rng in random), strict=True)
    return np.stack(pixels), np.stack(labels)


def cut_chip(
    sampler: Sampler, plan: ChipPlan, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return one chip, (bands, size, size) and (size, size), that the generator alone decides on."""
    spot = sampler.draw(rng)
    chip, label = cut(spot.image, _place(spot, plan, rng))
    turns, flip = (int(rng.integers(4)), bool(rng.integers(2))) if plan.lay else (0, False)
    chip, label = np.rot90(chip, turns, (1, 2)), np.rot90(label, turns)
    if flip:
        chip, label = chip[:, :, ::-1], label[:, ::-1]
    low, high = plan.values
    scale = np.float32((high - low) / 255)
    bytes_like = np.ascontiguousarray((chip - np.float32(low)) / scale)
    return recolored(bytes_like, plan.color, rng) * scale + np.float32(low), np.ascontiguousarray(label)


def _place(spot: Spot, plan: ChipPlan, rng: np.random.Generator) -> Place:
    """Return a square that holds the spot somewhere, and lies within the image as far as it can."""
    zoom = float(np.exp(rng.uniform(-plan.zoom, plan.zoom))) if rng.random() < 0.5 else 1.0
    angle = float(rng.uniform(-math.pi / 4, math.pi / 4)) if rng.random() < plan.turn else 0.0
    side = plan.size / zoom
    row, col = (
        _start(at, size, side, float(rng.random())) + side / 2
        for at, size in zip((spot.row, spot.col), spot.image.labels.shape, strict=True)
    )
    return Place(row, col, plan.size, zoom, angle)


def _start(at: int, size: int, side: float, share: float) -> float:
    """Return where a square begins along an axis: around a pixel, within the image, or from its start."""
    if side >= size:
        return 0.0
    return float(np.clip(round(at - share * side), 0, int(size - side)))
