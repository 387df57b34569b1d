"""Which items hang together, given pairs that do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def grouped(count: int, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for every item the smallest index of those it hangs together with, directly or through others.

    Args:
        count: how many items there are.
        first: shape (pairs,), one item of each pair.
        second: shape (pairs,), the other.

    Returns:
        Shape (count,); items of one group have the same number, which is the index of its first member.
    """
    label = np.arange(count)
    while True:
        low = np.minimum(label[first], label[second])
        after = label.copy()
        for end in (first, second):
            np.minimum.at(after, label[end], low)
        while (after != (shorter := after[after])).any():
            after = shorter
        if (after == label).all():
            return label
        label = after
