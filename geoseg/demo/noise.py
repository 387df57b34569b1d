"""Hashing and smooth noise by absolute position, compiled: the same place always gives the same value.

Integers are mixed in 64-bit arithmetic and cut to 32 bits, so that no result depends on the machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

EDITION = 9
"""Goes into every draw; another number is another world for each seed."""

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def compiled(function: _Function) -> _Function:
    """Compile with numba, kept on disk where a place for that can be found."""
    try:
        return cast("_Function", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba finds no writable folder beside the package nor in the home
        return cast("_Function", numba.njit(nogil=True)(function))


@compiled
def mix(a: int, b: int, salt: int) -> int:
    """Return a 32-bit hash of three integers."""
    h = (a * 374761393 + b * 668265263 + salt * 1442695041) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 739982445) & 0xFFFFFFFF
    h = ((h ^ (h >> 12)) * 695872825) & 0xFFFFFFFF
    return h ^ (h >> 15)


@compiled
def unit(a: int, b: int, salt: int) -> float:
    """Return a number in [0, 1) for three integers."""
    return mix(a, b, salt) / 4294967296.0


@compiled
def wave(x: float, salt: int) -> float:
    """Return smooth noise of one coordinate in [-1, 1], with knots one apart."""
    i = math.floor(x)
    f = x - i
    f = f * f * f * (f * (f * 6.0 - 15.0) + 10.0)
    low, high = unit(i, 5, salt), unit(i + 1, 5, salt)
    return 2.0 * (low + (high - low) * f) - 1.0


@compiled
def cloud(x: float, y: float, salt: int) -> float:
    """Return smooth noise of two coordinates in [0, 1], with knots one apart."""
    i, j = math.floor(x), math.floor(y)
    f, g = x - i, y - j
    f, g = f * f * (3.0 - 2.0 * f), g * g * (3.0 - 2.0 * g)
    a, b = unit(i, j, salt), unit(i + 1, j, salt)
    c, d = unit(i, j + 1, salt), unit(i + 1, j + 1, salt)
    top, bottom = a + (b - a) * f, c + (d - c) * f
    return top + (bottom - top) * g


@compiled
def blend(low: float, high: float, share: float) -> float:
    """Return the value between two others; the share is cut to [0, 1]."""
    return low + (high - low) * min(1.0, max(0.0, share))
