"""Sets of whole numbers that grow together (Tarjan, https://doi.org/10.1145/321879.321884).

The smallest number of a set is its root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray


@compiled
def root(parent: Any, item: Any) -> Any:
    """Return the root of an item, shortening the way to it."""
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


@compiled
def unite(parent: Any, a: Any, b: Any) -> Any:
    """Put two items into one set and return its root."""
    a = root(parent, a)
    b = root(parent, b)
    if a < b:
        parent[b] = a
        return a
    parent[a] = b
    return b


@compiled
def unite_all(parent: Any, a: Any, b: Any) -> None:
    """Unite the pairs of two arrays of the same shape (n,)."""
    for i in range(a.size):
        unite(parent, a[i], b[i])


@compiled
def numbered(parent: Any) -> Any:
    """Return the number of each item's set, sets numbered from 0 by their smallest item, and how many there are."""
    number = np.empty(parent.size, np.int64)
    count = 0
    for item in range(parent.size):
        if parent[item] == item:
            number[item] = count
            count += 1
        else:
            number[item] = number[root(parent, item)]
    return number, count


def sums(number: NDArray[np.int64], count: int, amounts: NDArray[Any]) -> NDArray[np.int64]:
    """Return the exact sum of the amounts of each set, shape (count,)."""
    result = np.zeros(count, np.int64)
    np.add.at(result, number, amounts)
    return result
