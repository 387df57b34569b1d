"""Colours, light and sensor of a scene, drawn once per seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo.noise import EDITION, compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.climate import Climate, Paint, Roofs

SAND, SOIL, PAVING, ASPHALT, MARKS, GRASS, SCRUB, CROWN, DEEP, SHALLOW, POOL, CONIFER, TWIGS, TURNED = range(14)
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
_OTHER = np.array([(40, 58, 40), (116, 104, 92), (120, 110, 60)], dtype=np.float64)
_SKY = np.array((128, 140, 148), dtype=np.float64)


class Look(NamedTuple):
    """What a scene's pixels look like."""

    salt: int
    ground: NDArray[np.float64]
    """Shape (14, 3): ground colours, 0 to 255, in the order of the constants above."""
    roofs: NDArray[np.float64]
    """Shape (n, 3): roof colours, 0 to 255."""
    roof_weights: NDArray[np.float64]
    """Shape (n,), adding up to 1."""
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
    turf: float = 0.0
    """How far open land is under grass beyond that: 0 as green says, 0.6 everywhere."""
    walk: float = 2.4
    """Width of pavements, metres."""
    beach: float = 14.0
    """Width of bare shores, metres."""
    relief: float = 0.2
    """How much lighter roofs are that face the sun, as a share."""
    blue: float = 0.0
    """How much bluer than grey the haze is, as a share."""
    conifer: float = 0.0
    """Share of the trees that are conifers."""
    twigs: float = 0.0
    """Share of the other trees that are bare."""
    turning: float = 0.0
    """How far crowns differ in hue, up to the colour of turned leaves, 0 to 1."""


def look_of(seed: int, climate: Climate) -> Look:
    """Return the look of a seed."""
    rng = np.random.default_rng([seed, EDITION, 2])
    return _gulf(rng, climate.roofs) if climate.paint is None else _drawn(rng, climate.roofs, climate.paint)


def _gulf(rng: np.random.Generator, materials: Roofs) -> Look:
    """Draw a look of the Gulf; its draws keep their order, so that its scenes keep their pixels."""
    ground = _GROUND * rng.uniform(0.88, 1.12, (len(_GROUND), 1)) * rng.uniform(0.965, 1.035, _GROUND.shape)
    ground[SOIL] = 0.5 * ground[SOIL] + 0.5 * ground[SAND] * rng.uniform(0.78, 0.95)
    ground[ASPHALT] = ground[ASPHALT] * rng.uniform(0.82, 1.2)
    ground[DEEP] *= rng.uniform(0.8, 1.4)
    ground[GRASS] = ground[GRASS] * rng.uniform(0.85, 1.15)
    roofs = np.array(materials.colors, np.float64)
    roofs = roofs * rng.uniform(0.975, 1.025, roofs.shape)
    weights = np.array(materials.weights) * rng.gamma(2.0, 0.5, len(roofs)) + 0.03
    azimuth, elevation = math.radians(rng.uniform(95.0, 215.0)), math.radians(rng.uniform(50.0, 66.0))
    warm = rng.uniform(-0.045, 0.045)
    cast = np.array(
        [1.0 + warm, 1.0 + rng.uniform(-0.012, 0.012), 1.0 - warm]
    )  # the whole scene a little warmer or cooler
    return Look(
        salt=int(rng.integers(1, 2**30)),
        ground=np.ascontiguousarray(np.concatenate([ground, _OTHER]) * cast),
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


def _drawn(rng: np.random.Generator, materials: Roofs, paint: Paint) -> Look:
    """Draw a look from wide ranges."""
    light = paint.light
    low, high = (np.array([pair[end] for pair in paint.ground], np.float64) for end in (0, 1))
    ground = low + (high - low) * rng.random((len(low), 1))
    ground = ground * rng.uniform(0.9, 1.1, (len(low), 1)) * rng.uniform(0.96, 1.04, ground.shape)
    if rng.random() < 0.12:  # water that mirrors a bright sky
        ground[[DEEP, SHALLOW]] += (_SKY - ground[[DEEP, SHALLOW]]) * rng.uniform(0.2, 0.8)
    roofs = np.array(materials.colors, np.float64)
    roofs = roofs * rng.uniform(0.85, 1.15, (len(roofs), 1)) * rng.uniform(0.96, 1.04, roofs.shape)
    weights = np.array(materials.weights) * rng.gamma(1.2, 0.8, len(roofs)) + 0.03
    warm, tint = rng.uniform(-light.cast, light.cast), rng.uniform(-0.4 * light.cast, 0.4 * light.cast)
    cast = np.array([1.0 + warm, 1.0 + tint, 1.0 - warm])
    azimuth, elevation = math.radians(rng.uniform(90.0, 270.0)), math.radians(rng.uniform(*light.elevation))
    return Look(
        salt=int(rng.integers(1, 2**30)),
        ground=np.ascontiguousarray(ground * cast),
        roofs=np.ascontiguousarray(np.minimum(roofs * cast, 245.0)),
        roof_weights=weights / weights.sum(),
        sun_x=math.sin(azimuth),
        sun_y=-math.cos(azimuth),
        climb=math.tan(elevation),
        shade=float(rng.uniform(*light.shade)),
        gain=float(rng.uniform(*light.gain)),
        haze=float(rng.uniform(*light.haze)),
        contrast=float(rng.uniform(*light.contrast)),
        grain=float(rng.uniform(*light.grain)),
        soft=float(rng.uniform(*light.soft)),
        green=float(rng.uniform(*paint.green)),
        turf=float(rng.uniform(*paint.turf)),
        walk=float(rng.uniform(*paint.walk)) if rng.random() < 0.6 else 0.0,
        beach=float(rng.uniform(*paint.beach)),
        relief=float(rng.uniform(*light.relief)),
        blue=float(rng.uniform(*light.blue)),
        conifer=float(rng.uniform(*paint.conifer)),
        twigs=float(rng.uniform(*paint.twigs)),
        turning=float(rng.uniform(*paint.turning)) * float(rng.random()),
    )


@compiled
def shaded(look: Look, name: int, light: float) -> tuple[float, float, float]:
    """Return a ground colour times a lightness."""
    return look.ground[name, 0] * light, look.ground[name, 1] * light, look.ground[name, 2] * light
