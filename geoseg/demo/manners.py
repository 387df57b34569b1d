"""What margin around the building of a lot is left free."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo import lots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.climate import Manner

    Table = NDArray[np.float64]


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
    side = np.maximum(side, half_u - rng.uniform(*manner.wide, n))
    spare = np.maximum(0.0, 2.0 * half_v - front - back - rng.uniform(*manner.deep, n))
    front, back = front + manner.setback * spare, back + (1.0 - manner.setback) * spare
    built = (rng.random(n) < manner.built) & (half_u - side > 3.5) & (2.0 * half_v - front - back > 7.0)
    return Gaps(side, front, back, built)


def moved(parcels: Table, along: Table, across: Table) -> tuple[Table, Table]:
    """Return image places of lots' middles moved along u and v; v counts from the back to the street."""
    cos, sin = parcels[:, lots.COS], parcels[:, lots.SIN]
    v = across * parcels[:, lots.FRONT]
    return parcels[:, lots.X] + along * cos - v * sin, parcels[:, lots.Y] + along * sin + v * cos
