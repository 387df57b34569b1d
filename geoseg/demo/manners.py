"""How the lots of each kind of district are built upon, and what margin around a building is left free."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo import lots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table = NDArray[np.float64]


class Manner(NamedTuple):
    """How the lots of one kind of district are built upon; pairs are ranges."""

    built: float
    """Share of the lots with a building."""
    side: tuple[float, float]
    front: tuple[float, float]
    back: tuple[float, float]
    """Metres between building and lot."""
    shapes: tuple[float, ...]
    """Weights of box, L, U, courtyard, cross, chamfered."""
    height: tuple[float, float]
    roofs: tuple[float, ...]
    """Weights of flat, gabled, hipped, ribbed, domed."""
    grounds: tuple[float, float, float]
    """Shares of lots with a plain yard, a walled yard, a car park."""
    lawn: float
    """Share of the lots with a lawn in a city half green."""
    pool: float
    """Share of the lots with a pool."""


MANNERS = (
    Manner(
        0.95,
        (1.2, 3.2),
        (4.0, 7.5),
        (1.5, 3.5),
        (35, 40, 14, 4, 7, 0),
        (5, 9),
        (74, 6, 19, 0, 1),
        (0.05, 0.9, 0),
        0.75,
        0.2,
    ),
    Manner(
        0.95,
        (0.3, 1.6),
        (0.6, 2.5),
        (0.3, 1.5),
        (58, 26, 8, 7, 1, 0),
        (4, 9),
        (94, 4, 1, 0, 1),
        (0.5, 0.2, 0),
        0.06,
        0.0,
    ),
    Manner(
        0.93,
        (2.2, 5.0),
        (4.5, 9.0),
        (2.0, 5.0),
        (40, 20, 14, 14, 9, 3),
        (9, 19),
        (98, 1, 1, 0, 0),
        (0.45, 0.15, 0.13),
        0.5,
        0.14,
    ),
    Manner(
        0.88,
        (4.0, 9.0),
        (6.0, 12.0),
        (3.0, 8.0),
        (38, 12, 6, 8, 14, 22),
        (13, 28),
        (99, 0, 0, 0, 1),
        (0.5, 0.0, 0.22),
        0.6,
        0.18,
    ),
    Manner(
        0.88,
        (1.5, 6.0),
        (4.0, 10.0),
        (1.0, 5.0),
        (88, 11, 1, 0, 0, 0),
        (6, 12),
        (22, 10, 0, 68, 0),
        (0.7, 0.15, 0.06),
        0.0,
        0.0,
    ),
    Manner(
        0.3,
        (14.0, 30.0),
        (30.0, 60.0),
        (10.0, 40.0),
        (50, 20, 5, 10, 10, 5),
        (4, 9),
        (60, 10, 20, 0, 10),
        (0, 0, 0.03),
        0.5,
        0.05,
    ),
    Manner(
        0.25,
        (14.0, 32.0),
        (20.0, 60.0),
        (10.0, 40.0),
        (80, 15, 5, 0, 0, 0),
        (4, 9),
        (60, 10, 0, 30, 0),
        (0.08, 0.15, 0),
        0.0,
        0.0,
    ),
)


class Gaps(NamedTuple):
    """Free metres around the building of each lot, each of shape (n,)."""

    side: Table
    front: Table
    back: Table
    built: NDArray[np.bool_]


def gaps_of(rng: np.random.Generator, parcels: Table, manner: Manner) -> Gaps:
    """Draw the free margins of lots."""
    n = len(parcels)
    half_u, half_v = parcels[:, lots.HALF_U], parcels[:, lots.HALF_V]
    side, front, back = (rng.uniform(*pair, n) for pair in (manner.side, manner.front, manner.back))
    swap = rng.random(n) < 0.3
    front, back = np.where(swap, back, front), np.where(swap, front, back)
    side = np.maximum(side, half_u - rng.uniform(15.0, 21.0, n))
    spare = np.maximum(0.0, 2.0 * half_v - front - back - rng.uniform(30.0, 42.0, n))
    front, back = front + 0.5 * spare, back + 0.5 * spare
    built = (rng.random(n) < manner.built) & (half_u - side > 3.5) & (2.0 * half_v - front - back > 7.0)
    return Gaps(side, front, back, built)


def moved(parcels: Table, along: Table, across: Table) -> tuple[Table, Table]:
    """Return image places of lots' middles moved along u and v; v counts from the back to the street."""
    cos, sin = parcels[:, lots.COS], parcels[:, lots.SIN]
    v = across * parcels[:, lots.FRONT]
    return parcels[:, lots.X] + along * cos - v * sin, parcels[:, lots.Y] + along * sin + v * cos
