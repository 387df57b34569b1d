"""Give regions too small to be worth keeping to their neighbours.

GDAL's sieve has one threshold for all classes and keeps small regions among small neighbours. Here regions are
merged one after the other, the smallest first, on the graph of what touches what, until none is left to merge.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.regions import Regions, components
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_LEAST_PIXELS = 4  # less is noise at any resolution
_SPREAD = 0x9E3779B1  # odd, so that numbers stay different when multiplied modulo 2**32


def least_pixels(min_area_m2: Mapping[int, float], pixel_area_m2: float) -> dict[int, int]:
    """Return the smallest number of pixels worth keeping, by class value; 0 keeps everything.

    Args:
        min_area_m2: smallest area by class value, in square metres; 0 keeps everything.
        pixel_area_m2: area of one pixel on the ground.
    """
    return {
        value: max(_LEAST_PIXELS, math.ceil(area / pixel_area_m2)) if area > 0 else 0
        for value, area in min_area_m2.items()
    }


def sieve(classes: NDArray[np.uint8], least: Mapping[int, int]) -> NDArray[np.uint8]:
    """Return a class raster without small regions: each has taken the class of its largest neighbour.

    Regions are 4-connected, as in ``trace``. Nodata neither grows nor shrinks; a small region with no other
    neighbour than nodata stays, because there is nothing it could belong to.

    Args:
        classes: shape (height, width), class values.
        least: smallest number of pixels worth keeping, by class value; classes not named are kept.
    """
    needed = np.zeros(256, np.int64)
    needed[list(least)] = list(least.values())
    needed[NODATA] = 0
    if classes.size == 0 or needed.max() <= 1:
        return classes
    regions = Regions.of(classes)
    values, sizes = regions.values, regions.sizes
    small = sizes < needed[values]
    if not small.any():
        return classes
    both_ways = np.concatenate((regions.contacts, regions.contacts[::-1]), axis=1)
    # From small regions to what they touch: nothing else decides anything.
    contacts = _distinct(both_ways[:, small[both_ways[0]] & (values[both_ways[1]] != NODATA)])
    now = np.arange(len(values))  # the merged region of each region
    while contacts.size:
        values = _moved(values, sizes, contacts)
        merged, count = components(len(values), contacts[:, values[contacts[0]] == values[contacts[1]]])
        sizes = np.bincount(merged, weights=sizes, minlength=count).astype(np.int64)
        values_then, values = values, np.zeros(count, np.uint8)
        values[merged] = values_then
        now = merged[now]
        contacts = merged[contacts]
        undecided = (sizes < needed[values])[contacts[0]] & (contacts[0] != contacts[1])
        contacts = _distinct(contacts[:, undecided])
    return regions.paint(values[now], classes.shape)


def _moved(values: NDArray[np.uint8], sizes: NDArray[np.int64], contacts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the values after one round, in which a small region moves if it is smaller than all that it touches.

    So no two that touch each other move at once. Among equal sizes the scattered number decides: in the order
    of place, a row of equal regions would take as many rounds as it is long.

    Args:
        values: shape (n,), class values.
        sizes: shape (n,), pixels.
        contacts: shape (2, m), from every small region to each of its neighbours; sorted.
    """
    source, neighbour = contacts
    first = np.flatnonzero(np.diff(source, prepend=-1))  # of each source's contacts
    rank = np.full(len(values), len(values))
    scattered = source[first] * _SPREAD & 0xFFFFFFFF
    rank[source[first[np.lexsort((scattered, sizes[source[first]]))]]] = np.arange(len(first))
    moving = rank[source[first]] < np.minimum.reduceat(rank[neighbour], first)
    largest = np.maximum.reduceat(sizes[neighbour], first)
    count = np.diff(first, append=len(source))
    candidates = np.where(sizes[neighbour] == np.repeat(largest, count), neighbour, len(values))
    chosen = np.minimum.reduceat(candidates, first)  # of equally large ones the first
    result = values.copy()
    result[source[first[moving]]] = values[chosen[moving]]
    return result


def _distinct(contacts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each pair once, sorted."""
    if contacts.size == 0:
        return contacts
    width = int(contacts.max()) + 1
    keys = np.sort(contacts[0] * width + contacts[1])
    return np.stack(np.divmod(keys[np.diff(keys, prepend=-1) > 0], width))
