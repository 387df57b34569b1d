"""Colours, light and sensor of a scene, drawn once per seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo.noise import EDITION, compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAND, SOIL, PAVING, ASPHALT, MARKS, GRASS, SCRUB, CROWN, DEEP, SHALLOW, POOL = range(11)
"""Rows of ``Look.ground``."""

_GROUND = np.array(
    [
        (196, 174, 140),
        (168, 144, 114),
        (188, 182, 172),
        (112, 110, 108),
        (208, 206, 198),
        (104, 122, 68),
        (128, 126, 88),
        (62, 82, 44),
        (38, 78, 92),
        (86, 134, 132),
        (84, 178, 190),
    ],
    dtype=np.float64,
)
_ROOFS = np.array(
    [
        (226, 222, 214),
        (208, 196, 174),
        (190, 170, 140),
        (176, 173, 167),
        (146, 144, 141),
        (100, 99, 101),
        (170, 108, 82),
        (128, 98, 78),
        (118, 146, 178),
        (124, 148, 130),
    ],
    dtype=np.float64,
)
_ROOF_WEIGHTS = np.array([6.0, 6.0, 4.0, 5.0, 2.6, 0.8, 0.9, 0.7, 0.18, 0.12])


class Look(NamedTuple):
    """What a scene's pixels look like."""

    salt: int
    ground: NDArray[np.float64]
    """Shape (11, 3): ground colours, 0 to 255, in the order of the constants above."""
    roofs: NDArray[np.float64]
    """Shape (10, 3): roof colours, 0 to 255."""
    roof_weights: NDArray[np.float64]
    """Shape (10,), adding up to 1."""
    sun_x: float
    """Unit vector towards the sun, image right."""
    sun_y: float
    """Unit vector towards the sun, image down."""
    climb: float
    """Metres that a sun ray climbs per metre of ground."""
    shade: float
    """Share of the light that is missing in a cast shadow."""
    gain: float
    haze: float
    contrast: float
    grain: float
    """Standard deviation of the sensor's noise, in grey levels."""
    soft: float
    """Weight of the outer taps of the 3-pixel blur."""
    green: float
    """How green gardens and verges are, 0 to 1."""


def look_of(seed: int) -> Look:
    """Return the look of a seed."""
    rng = np.random.default_rng([seed, EDITION, 2])
    ground = _GROUND * rng.uniform(0.88, 1.12, (len(_GROUND), 1)) * rng.uniform(0.965, 1.035, _GROUND.shape)
    ground[SOIL] = 0.5 * ground[SOIL] + 0.5 * ground[SAND] * rng.uniform(0.78, 0.95)
    ground[ASPHALT] = ground[ASPHALT] * rng.uniform(0.82, 1.2)
    ground[DEEP] *= rng.uniform(0.8, 1.4)
    ground[GRASS] = ground[GRASS] * rng.uniform(0.85, 1.15)
    roofs = _ROOFS * rng.uniform(0.975, 1.025, _ROOFS.shape)
    weights = _ROOF_WEIGHTS * rng.gamma(2.0, 0.5, len(_ROOFS)) + 0.03
    azimuth, elevation = math.radians(rng.uniform(95.0, 215.0)), math.radians(rng.uniform(50.0, 66.0))
    warm = rng.uniform(-0.045, 0.045)
    cast = np.array(
        [1.0 + warm, 1.0 + rng.uniform(-0.012, 0.012), 1.0 - warm]
    )  # the whole scene a little warmer or cooler
    return Look(
        salt=int(rng.integers(1, 2**30)),
        ground=np.ascontiguousarray(ground * cast),
        roofs=np.ascontiguousarray(roofs * cast),
        roof_weights=weights / weights.sum(),
        sun_x=math.sin(azimuth),
        sun_y=-math.cos(azimuth),
        climb=math.tan(elevation),
        shade=float(rng.uniform(0.45, 0.62)),
        gain=float(rng.uniform(0.82, 0.99)),
        haze=float(rng.uniform(0.0, 16.0)),
        contrast=float(rng.uniform(0.86, 1.12)),
        grain=float(rng.uniform(1.2, 3.5)),
        soft=float(rng.uniform(0.08, 0.19)),
        green=float(rng.uniform(0.4, 1.0)),
    )


@compiled
def shaded(look: Look, name: int, light: float) -> tuple[float, float, float]:
    """Return a ground colour times a lightness."""
    return look.ground[name, 0] * light, look.ground[name, 1] * light, look.ground[name, 2] * light
