"""Other light, air and sensors: photometric changes of a chip, so that a network cannot learn colours by heart.

All work on float32 values between 0 and 255 of shape (bands, height, width), and a strength of 0 changes nothing.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Chip = NDArray[np.float32]
    Change = Callable[[Chip, float, np.random.Generator], Chip]


def recolored(chip: Chip, strength: float, rng: np.random.Generator) -> Chip:
    """Return a chip in another light, through other air and by another sensor."""
    if strength <= 0:
        return chip
    for change, chance in _CHANGES:
        if rng.random() < min(1.0, chance * strength):
            chip = change(chip, strength, rng)
    return np.clip(chip, 0, 255, out=chip)


def _light(chip: Chip, strength: float, rng: np.random.Generator) -> Chip:
    """Exposure, colour balance and contrast."""
    gain = np.exp(rng.normal(0, 0.12 * strength) + rng.normal(0, 0.05 * strength, len(chip)))
    level = chip.mean((1, 2))
    contrast = math.exp(rng.normal(0, 0.12 * strength))
    return np.asarray((chip - level[:, None, None]) * contrast + (level * gain)[:, None, None], np.float32)


def _tone(chip: Chip, strength: float, rng: np.random.Generator) -> Chip:
    """Gamma: dark parts lighter or darker than bright ones."""
    gamma = math.exp(rng.normal(0, 0.2 * strength))
    return np.asarray(255 * (np.clip(chip, 0, 255) / 255) ** np.float32(gamma), np.float32)


def _saturation(chip: Chip, strength: float, rng: np.random.Generator) -> Chip:
    """Colours paler or stronger, down to grey."""
    grey = chip.mean(0)
    return np.asarray(grey + (chip - grey) * np.float32(max(0.0, 1 + rng.normal(0, 0.3 * strength))), np.float32)


def _haze(chip: Chip, strength: float, rng: np.random.Generator) -> Chip:
    """Haze lifts the dark end."""
    haze = rng.uniform(0, min(0.6, 0.35 * strength))
    return np.asarray(chip * (1 - haze) + haze * rng.uniform(150, 230), np.float32)


def _shadow(chip: Chip, strength: float, rng: np.random.Generator) -> Chip:
    """Shade one side of a line through the chip, as clouds and hills do; its light is bluer."""
    _, height, width = chip.shape
    angle = rng.uniform(0, 2 * math.pi)
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    past = (down - rng.uniform(0, height)) * math.sin(angle) + (across - rng.uniform(0, width)) * math.cos(angle)
    dark = np.clip(past / rng.uniform(1, 30) + 0.5, 0, 1) * np.float32(rng.uniform(0.2, min(0.7, 0.5 * strength + 0.2)))
    blue = 1 - 0.12 * np.linspace(0, 1, len(chip), dtype=np.float32)[:, None, None]
    return np.asarray(chip * (1 - dark * blue), np.float32)


def _soft(chip: Chip, _strength: float, _rng: np.random.Generator) -> Chip:
    """A softer lens."""
    chip[:, 1:-1, 1:-1] = (
        chip[:, 1:-1, 1:-1] * 2 + chip[:, :-2, 1:-1] + chip[:, 2:, 1:-1] + chip[:, 1:-1, :-2] + chip[:, 1:-1, 2:]
    ) / 6
    return chip


def _noise(chip: Chip, _strength: float, rng: np.random.Generator) -> Chip:
    """Sensor noise."""
    return chip + rng.standard_normal(chip.shape, np.float32) * np.float32(rng.uniform(0, 7))


def _jpeg(chip: Chip, strength: float, rng: np.random.Generator) -> Chip:
    """The blocks of a lossy file."""
    bands, height, width = chip.shape
    if bands not in (1, 3):
        return chip
    quality = int(rng.integers(max(15, round(70 - 35 * strength)), 90))
    profile = {"driver": "JPEG", "count": bands, "height": height, "width": width, "dtype": "uint8"}
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(**profile, QUALITY=quality) as file:
            file.write(np.rint(np.clip(chip, 0, 255)).astype(np.uint8))
        with memory.open() as file:
            return np.asarray(file.read(), np.float32)


_CHANGES: tuple[tuple[Change, float], ...] = (
    (_light, 1.0),
    (_tone, 0.3),
    (_saturation, 0.3),
    (_haze, 0.15),
    (_shadow, 0.1),
    (_soft, 0.2),
    (_noise, 0.3),
    (_jpeg, 0.15),
)
"""Changes in the order light takes, and the chance of each at strength 1."""
