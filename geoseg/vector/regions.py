"""The regions of a class raster as a graph: what is connected, how large it is, and what it touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Regions:
    """The 4-connected regions of a class raster, numbered by their first pixel."""

    values: NDArray[np.uint8]
    """Shape (n,), class values."""
    sizes: NDArray[np.int64]
    """Shape (n,), pixels."""
    contacts: NDArray[np.int64]
    """Shape (2, m), pairs of regions that share a border; a pair may come more than once."""
    runs: NDArray[np.int64]
    """Shape (k,), the region of each run: the pixels of a row up to where the class changes."""
    lengths: NDArray[np.int64]
    """Shape (k,), pixels of each run."""

    @classmethod
    def of(cls, classes: NDArray[np.uint8]) -> Self:
        """Find the regions of a raster of shape (height, width) with at least one pixel."""
        starts = np.ones(classes.shape, np.bool_)
        np.not_equal(classes[:, 1:], classes[:, :-1], out=starts[:, 1:])
        first = np.flatnonzero(starts)
        values = classes.ravel()[first]
        lengths = np.diff(first, append=classes.size)
        narrow = np.int32 if classes.size < 2**31 else np.int64
        number = np.cumsum(starts, dtype=narrow).reshape(classes.shape)  # of each pixel's run, from 1 on
        # Two runs that touch begin to do so where one of them begins.
        begins = starts[:-1] | starts[1:]
        vertical = np.stack((number[:-1][begins], number[1:][begins])).astype(np.int64) - 1
        right = np.flatnonzero(first[1:] % classes.shape[1])
        horizontal = np.stack((right, right + 1))
        same = values[vertical[0]] == values[vertical[1]]
        runs, count = components(len(first), vertical[:, same])
        by_region = np.zeros(count, np.uint8)
        by_region[runs] = values
        sizes = np.bincount(runs, weights=lengths, minlength=count).astype(np.int64)
        contacts = runs[np.concatenate((vertical[:, ~same], horizontal), axis=1)]
        return cls(by_region, sizes, contacts, runs, lengths)

    def paint(self, values: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the raster in which each region has the value of shape (n,) given for it."""
        return np.repeat(values[self.runs], self.lengths).reshape(shape)


def components(count: int, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Number the connected components of a graph by their first node.

    Args:
        count: the nodes, 0 to ``count`` - 1.
        pairs: shape (2, m), the nodes that each edge connects.

    Returns:
        The component of each node, shape (count,), and how many there are.
    """
    root = np.arange(count)
    while pairs.size:
        low, high = pairs.min(axis=0), pairs.max(axis=0)
        np.minimum.at(root, high, low)
        # Every chain of hooks leads downwards, so following it in double steps ends at a first node.
        while not np.array_equal(further := root[root], root):
            root = further
        pairs = root[pairs]
        pairs = pairs[:, pairs[0] != pairs[1]]
    first = root == np.arange(count)
    return (np.cumsum(first) - 1)[root], int(first.sum())
